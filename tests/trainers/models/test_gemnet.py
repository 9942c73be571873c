"""GemNet-T against the equations of its paper, written out edge by edge and triplet by triplet."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from gemnet_by_loops import SETTINGS, Literal, fourier_bessel
from graphs_at_hand import CUTOFF, ELEMENTS, graph_of, positions
from scipy.special import spherical_jn
from torch import Tensor

from forgefield.labelers.molecules import find_molecule
from forgefield.trainers.graphs.exchange import swap
from forgefield.trainers.model_settings import GemNetSettings
from forgefield.trainers.models import energy_and_forces
from forgefield.trainers.models.gemnet import GemNet
from forgefield.trainers.models.gemnet_bases import TripletBasis, bessel_roots


@pytest.fixture
def model() -> GemNet:
    torch.manual_seed(0)
    made = GemNet(SETTINGS).double()
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return made


@pytest.mark.parametrize("seed", range(3))
def test_energy_is_that_of_a_loop_over_edges_and_triplets(model: GemNet, seed: int) -> None:
    x = positions(seed)
    with torch.no_grad():
        expected = Literal(model, x).energy()
        found = model(graph_of(x, slots=7))
    torch.testing.assert_close(found, expected, rtol=2e-5, atol=1e-7)


def test_published_size() -> None:
    """Counted from the published code with its settings for MD17: 1,892,294 parameters.

    That has a table of 93 elements of 128 numbers; ours has the three of aspirin.
    """
    made = GemNet(GemNetSettings(elements=(1, 6, 8)))
    count = sum(weight.numel() for weight in made.parameters())
    assert count == 1_892_294 - (93 - 3) * 128 == 1_880_774


def test_radial_functions_are_bessels_even_near_zero() -> None:
    basis = TripletBasis(7, 6, 42, 5.0).double()
    basis.weight.data = torch.eye(42, dtype=torch.float64).reshape(7, 6, 42)
    d = torch.linspace(0.01, 4.99, 60, dtype=torch.float64)
    even_first = [0, 2, 4, 6, 1, 3, 5]
    found = basis._radial(d.reshape(-1, 1, 1)).detach()[:, 0]
    norm = float(found[40, 0, 0]) / fourier_bessel(0, 0, float(d[40]) / 5)
    for place, l in enumerate(even_first):
        rows = found[:, place].reshape(-1, 7, 6)[:, l]
        expected = [[norm * fourier_bessel(l, n, float(t) / 5) for n in range(6)] for t in d]
        torch.testing.assert_close(rows, torch.tensor(expected).double(), rtol=1e-6, atol=1e-6)


def test_single_precision_keeps_the_digits_of_short_distances() -> None:
    torch.manual_seed(0)
    basis = TripletBasis(7, 6, 4, 5.0)
    torch.nn.init.normal_(basis.weight)
    d = torch.linspace(0.3, 1.2, 50).reshape(-1, 1, 1)
    single = basis._radial(d)
    double = basis.double()._radial(d.double())
    assert (single - double).abs().max() < 2e-5 * double.abs().max()


def test_roots_are_those_of_the_spherical_bessels() -> None:
    roots = bessel_roots(7, 6)
    for l, row in enumerate(roots):
        np.testing.assert_allclose(spherical_jn(l, row), 0, atol=1e-10)
        grid = spherical_jn(l, np.linspace(0.5 if l else 0.1, row[-1] + 1e-3, 4000))
        assert (np.diff(np.sign(grid)) != 0).sum() == len(row)


def test_forces_are_finite_where_atoms_are_in_a_row(model: GemNet) -> None:
    """Angles of 0 and π, where arccos has no derivative; small steps off the line agree."""
    x = torch.tensor([[0, 0, -1.1], [0, 0, 0], [0, 0, 1.2], [0, 0, 2.4]], dtype=torch.float64)
    numbers = torch.tensor([8, 6, 6, 1])
    _, forces = energy_and_forces(model, graph_of(x, numbers=numbers))
    bent = x.clone()
    bent[1, 0] += 1e-6
    _, near = energy_and_forces(model, graph_of(bent, numbers=numbers))
    assert forces[:, 2].abs().max() > 1e-3
    torch.testing.assert_close(forces[:, :2], torch.zeros(4, 2).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(near, forces, rtol=0, atol=1e-4)


def test_three_atoms_feel_their_angle(model: GemNet) -> None:
    """With both bond lengths kept and the far pair beyond the cutoff, only a triplet can tell."""

    def energy(angle: float) -> Tensor:
        arm = 0.9 * CUTOFF
        x = torch.tensor(
            [[0, 0, 0], [arm, 0, 0], [arm * math.cos(angle), arm * math.sin(angle), 0]],
            dtype=torch.float64,
        )
        with torch.no_grad():
            return model(graph_of(x, numbers=torch.tensor([6, 1, 1])))  # type: ignore[no-any-return]

    assert (energy(1.6) - energy(2.6)).abs() > 1e-8
    for layer in model.blocks:
        torch.nn.init.zeros_(layer.triplets.bilinear)  # type: ignore[union-attr, arg-type]
    torch.testing.assert_close(energy(1.6), energy(2.6), rtol=0, atol=1e-12)


def test_swapping_is_its_own_inverse_and_adjoint() -> None:
    graph = graph_of(positions(), slots=7)
    torch.manual_seed(0)
    x = torch.randn(6, 7, 2, dtype=torch.float64, requires_grad=True)
    swapped = graph.swapped(x)
    for atom, slot in np.ndindex(6, 7):
        other, place = divmod(int(graph.reverse_AK[atom, slot]), 7)
        assert torch.equal(swapped[other, place], x[atom, slot])
    assert torch.equal(graph.swapped(swapped), x)
    assert torch.autograd.gradcheck(swap, (x, graph.reverse_AK))
    assert torch.autograd.gradgradcheck(swap, (x, graph.reverse_AK))


@pytest.mark.parametrize("name", ["ethanol", "aspirin"])
def test_activations_and_forces_begin_near_unit_size(name: str) -> None:
    """Of the published size, on molecules: the rule that replaces fitted factors holds up."""
    torch.manual_seed(0)
    molecule = find_molecule(name)
    model = GemNet(GemNetSettings(elements=ELEMENTS))
    sizes: list[float] = []

    def watch(_: torch.nn.Module, __: Any, output: tuple[Any, Any]) -> None:
        sizes.append(float(output[1].numbers.detach().std() * output[1].size))

    for block in model.blocks:
        block.register_forward_hook(watch)
    x = torch.as_tensor(molecule.positions_A3).float()
    graph = graph_of(x, numbers=torch.tensor(molecule.numbers), cutoff=5.0)
    _, forces = energy_and_forces(model, graph)
    assert len(sizes) == 4
    assert all(0.2 < size < 3 for size in sizes), sizes
    assert 0.1 < forces.square().mean().sqrt() < 10
