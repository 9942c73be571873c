"""GemNet-T against the equations of its paper, written out edge by edge and triplet by triplet."""

import math
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch
from graphs_at_hand import CUTOFF, ELEMENTS, NUMBERS, graph_of, positions
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.special import eval_legendre, spherical_jn
from torch import Tensor

from forgefield.labelers.molecules import find_molecule
from forgefield.trainers.graphs.exchange import swap
from forgefield.trainers.model_settings import GemNetSettings
from forgefield.trainers.models import energy_and_forces
from forgefield.trainers.models.gemnet import GemNet, Interaction, Readout
from forgefield.trainers.models.gemnet_bases import NEAREST, TripletBasis, bessel_roots
from forgefield.trainers.models.gemnet_layers import AtomUpdate, Residuals, TripletInteraction

SETTINGS = GemNetSettings(
    cutoff=CUTOFF,
    elements=ELEMENTS,
    blocks=2,
    atom_channels=7,
    edge_channels=6,
    triplet_channels=5,
    radial_channels=4,
    circular_channels=3,
    bilinear_channels=5,
    spherical=4,
    radial=3,
    residuals_after=2,
    residuals_last=1,
    residuals_atom=1,
    neighbours=5.0,
)
Edge = tuple[int, int]
PerEdge = dict[Edge, Tensor]


@pytest.fixture
def model() -> GemNet:
    torch.manual_seed(0)
    made = GemNet(SETTINGS).double()
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return made


def fade(t: float) -> float:
    """The paper's envelope with p = 5."""
    return 1 - 21 * t**5 + 35 * t**6 - 15 * t**7 if t < 1 else 0.0


@lru_cache
def roots_of(orders: int, size: int) -> NDArray[np.float64]:
    return bessel_roots(orders, size)


def fourier_bessel(l: int, n: int, t: float) -> float:
    """Of unit norm on the unit ball, times the envelope, as DimeNet has it."""
    root = roots_of(7, 6)[l, n]
    norm = math.sqrt(2) / abs(spherical_jn(l + 1, root))
    return float(norm * spherical_jn(l, root * t) * fade(t))


def rms_of_triplet_basis() -> float:
    """By adaptive quadrature instead of a grid."""
    first, size = NEAREST / CUTOFF, SETTINGS.spherical * SETTINGS.radial
    squares = [
        quad(lambda t, l=l, n=n: fourier_bessel(l, n, t) ** 2, first, 1)[0] / (1 - first)
        for l in range(SETTINGS.spherical)
        for n in range(SETTINGS.radial)
    ]
    return math.sqrt(sum(squares) / size)


def act(x: Tensor) -> Tensor:
    return x * torch.sigmoid(x) / 0.6


def residuals(layers: Residuals, x: Tensor) -> Tensor:
    weights = [layer.linear.weight for layer in layers.layers]  # type: ignore[union-attr]
    for first, second in zip(weights[0::2], weights[1::2], strict=True):
        x = (x + act(act(x @ first) @ second)) / math.sqrt(2)
    return x


class Literal:
    """The network on lists of edges c→a, (c, a), with loops over triplets."""

    def __init__(self, model: GemNet, x: Tensor) -> None:
        self.model = model
        self.atoms = range(len(x))
        gap = {(c, a): x[c] - x[a] for c in self.atoms for a in self.atoms if c != a}
        self.unit = {e: v / v.norm() for e, v in gap.items() if v.norm() < CUTOFF}
        self.length = {e: float(gap[e].norm()) for e in self.unit}
        self.rms = rms_of_triplet_basis()
        self.radial = {e: self._radial(d) for e, d in self.length.items()}
        self.circular = {e: self._circular(d) for e, d in self.length.items()}

    def _radial(self, d: float) -> Tensor:
        waves = np.sin(self.model.radial.bessel.frequency.tolist() * np.array(d / CUTOFF)) / d
        scale = self.model.radial.scale * math.sqrt(2 / CUTOFF) * fade(d / CUTOFF)
        return torch.tensor(waves * scale)

    def _circular(self, d: float) -> Tensor:
        """Radial part of the basis of triplets (L, N)."""
        orders, size = range(SETTINGS.spherical), range(SETTINGS.radial)
        table = [[fourier_bessel(l, n, d / CUTOFF) for n in size] for l in orders]
        return torch.tensor(table, dtype=torch.float64) / self.rms

    def embed(self, weight: Tensor, h: list[Tensor], m: PerEdge) -> PerEdge:
        """Messages from both ends and what was there before."""
        return {(c, a): act(torch.cat([h[a], h[c], m[c, a]]) @ weight) for c, a in m}

    def hear(self, layer: TripletInteraction, m: PerEdge) -> PerEdge:
        """What triplets say to each message."""
        filters = self.model.for_triplets @ layer.radial.weight
        x = {e: act(m[e] @ layer.dense.linear.weight) * (self.radial[e] @ filters) for e in m}
        x = {e: act(v @ layer.down.linear.weight) for e, v in x.items()}
        summed = {e: self.over_triplets(layer, e, x) for e in m}
        up, back = layer.up.linear.weight, layer.up_back.linear.weight
        return {
            (c, a): (act(summed[c, a] @ up) + act(summed[a, c] @ back)) / math.sqrt(2) for c, a in m
        }

    def over_triplets(self, layer: TripletInteraction, edge: Edge, x: PerEdge) -> Tensor:
        """Σ_b Σ_i basis_i(d_ca, ∠cab) x_ba W_i over the edges b→a with b ≠ c."""
        c, a = edge
        total = torch.zeros(SETTINGS.bilinear_channels, dtype=torch.float64)
        for b in self.atoms:
            if b == c or (b, a) not in x:
                continue
            cosine = float(self.unit[edge] @ self.unit[b, a])
            angular = [
                math.sqrt(2 * l + 1) * eval_legendre(l, cosine) for l in range(SETTINGS.spherical)
            ]
            each = self.circular[edge] * torch.tensor(angular)[:, None]
            basis = torch.einsum("ln,lni->i", each, self.model.triplets.weight)
            total = total + torch.einsum("i,c,ico->o", basis, x[b, a], layer.bilinear)
        return total / math.sqrt(SETTINGS.neighbours)

    def update(self, layer: AtomUpdate, m: PerEdge, shared: Tensor) -> list[Tensor]:
        """Sums over neighbours and dense layers, an atom at a time."""
        filters = shared @ layer.radial.weight
        found = []
        for atom in self.atoms:
            each = [m[c, a] * (self.radial[c, a] @ filters) for c, a in m if a == atom]
            summed = sum(each, torch.zeros(SETTINGS.edge_channels, dtype=torch.float64))
            summed = summed / math.sqrt(SETTINGS.neighbours)
            found.append(residuals(layer.residuals, act(summed @ layer.dense.linear.weight)))
        return found

    def interact(
        self, block: Interaction, h: list[Tensor], m: PerEdge
    ) -> tuple[list[Tensor], PerEdge]:
        """One block."""
        half, heard = 1 / math.sqrt(2), self.hear(block.triplets, m)
        x = {e: (act(m[e] @ block.dense.linear.weight) + heard[e]) * half for e in m}
        m = {e: residuals(block.after, (m[e] + residuals(block.before, x[e])) * half) for e in m}
        told = self.update(block.atoms, m, self.model.for_atoms)
        h = [(old + new) * half for old, new in zip(h, told, strict=True)]
        new_m = self.embed(block.edges.weight, h, m)
        return h, {e: (m[e] + residuals(block.last, new_m[e])) * half for e in m}

    def read(self, readout: Readout, m: PerEdge) -> Tensor:
        """Energy of all atoms by one readout."""
        atoms = self.update(readout.atoms, m, self.model.for_readouts)
        return sum((h @ readout.last.weight for h in atoms), torch.zeros(1).double())

    def energy(self) -> Tensor:
        """Of the whole molecule."""
        model = self.model
        h = [model.embedding.weight[ELEMENTS.index(int(number))] for number in NUMBERS]
        m = self.embed(model.edges.weight, h, self.radial)
        total = self.read(model.readouts[0], m)  # type: ignore[arg-type]
        for block, readout in zip(model.blocks, model.readouts[1:], strict=True):
            h, m = self.interact(block, h, m)  # type: ignore[arg-type]
            total = total + self.read(readout, m)  # type: ignore[arg-type]
        return total / math.sqrt(SETTINGS.blocks + 1)


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
