"""What any force field must obey, asked of fresh and trained networks in float64."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.md.verlet import VelocityVerlet
from torch import Tensor

from forgefield.storage.errors import InputError
from forgefield.trainers.calculator import ForgefieldCalculator
from forgefield.trainers.force_field import ForceField, Metadata
from forgefield.trainers.graphs import Graph, all_pairs
from forgefield.trainers.model_settings import EGNNSettings
from forgefield.trainers.models.activations import silu
from forgefield.trainers.models.egnn import EGNN, envelope
from forgefield.trainers.models.potential import energy_and_forces

NUMBERS = torch.tensor([6, 8, 1, 1, 1, 1])
SETTINGS = EGNNSettings(layers=3, channels=16, radial=8, cutoff=3.0)


def positions(seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 1.2 * torch.randn(6, 3, generator=generator, dtype=torch.float64)


def graph(x: Tensor, numbers: Tensor = NUMBERS) -> Graph:
    source, target = all_pairs(np.array([0, len(x)]))
    frame = torch.zeros(len(x), dtype=torch.int64)
    return Graph(numbers, x, torch.from_numpy(source), torch.from_numpy(target), frame, 1)


@pytest.fixture(params=[True, False], ids=["moving", "still"])
def model(request: pytest.FixtureRequest) -> EGNN:
    torch.manual_seed(0)
    return EGNN(SETTINGS.model_copy(update={"move": request.param})).double()


def rotation(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    q, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    return q


def test_energy_is_invariant_and_forces_turn_with_the_molecule(model: EGNN) -> None:
    turn, x = rotation(1), positions()
    energy, forces = energy_and_forces(model, graph(x.clone()))
    moved, moved_forces = energy_and_forces(model, graph(x @ turn.T + 7.0))
    torch.testing.assert_close(moved, energy, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(moved_forces, forces @ turn.T, rtol=1e-8, atol=1e-11)
    assert forces.abs().max() > 1e-3
    assert forces.sum(dim=0).abs().max() < 1e-11


def test_like_atoms_may_be_swapped_and_unlike_may_not(model: EGNN) -> None:
    x = positions()
    energy, forces = energy_and_forces(model, graph(x.clone()))
    order = torch.tensor([0, 1, 5, 3, 4, 2])
    swapped, swapped_forces = energy_and_forces(model, graph(x[order]))
    torch.testing.assert_close(swapped, energy, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(swapped_forces, forces[order], rtol=1e-8, atol=1e-11)
    other, _ = energy_and_forces(model, graph(x[torch.tensor([1, 0, 2, 3, 4, 5])]))
    assert (other - energy).abs() > 1e-5


def test_two_far_molecules_have_the_sum_of_their_energies(model: EGNN) -> None:
    x, y = positions(0), positions(1)
    both = graph(torch.cat([x, y + 100.0]), torch.cat([NUMBERS, NUMBERS]))
    joint, _ = energy_and_forces(model, both)
    parts = sum(energy_and_forces(model, graph(z.clone()))[0] for z in (x, y))
    torch.testing.assert_close(joint, parts, rtol=1e-10, atol=1e-12)


def test_forces_are_minus_the_finite_difference_of_the_energy(model: EGNN) -> None:
    x, step = positions(), 1e-5
    _, forces = energy_and_forces(model, graph(x.clone()))
    for atom, axis in ((0, 0), (1, 2), (4, 1)):
        ends = []
        for sign in (1, -1):
            shifted = x.clone()
            shifted[atom, axis] += sign * step
            ends.append(float(energy_and_forces(model, graph(shifted))[0]))
        slope = (ends[0] - ends[1]) / (2 * step)
        assert -slope == pytest.approx(float(forces[atom, axis]), rel=1e-6, abs=1e-9)


def test_gradient_of_a_force_loss_is_right_for_the_parameters(model: EGNN) -> None:
    """The hand-written second derivative of SiLU is part of every training step."""
    weight = model.layers[0].edge.weight
    goal = torch.ones(6, 3, dtype=torch.float64)

    def loss() -> Tensor:
        _, forces = energy_and_forces(model, graph(positions()), training=True)
        return (forces - goal).square().sum()

    loss().backward()
    place = divmod(int(weight.grad.abs().argmax()), weight.shape[1])
    slope = float(weight.grad[place])
    ends = []
    for sign in (1, -1):
        with torch.no_grad():
            weight[place] += sign * 1e-4
        ends.append(float(loss().detach()))
        with torch.no_grad():
            weight[place] -= sign * 1e-4
    assert slope == pytest.approx((ends[0] - ends[1]) / 2e-4, rel=1e-4)


def test_silu_has_its_first_two_derivatives() -> None:
    x = torch.linspace(-6, 6, 25, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(silu, x)
    assert torch.autograd.gradgradcheck(silu, x)
    torch.testing.assert_close(silu(x), torch.nn.functional.silu(x))


def test_envelope_vanishes_smoothly_at_the_cutoff() -> None:
    u = torch.tensor([1 - 1e-4, 1.0, 1 + 1e-4], dtype=torch.float64, requires_grad=True)
    value = envelope(u)
    (slope,) = torch.autograd.grad(value.sum(), u, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), u)
    assert value.abs().max() < 1e-10
    assert slope.abs().max() < 1e-6
    assert bend.abs().max() < 1e-2
    assert float(envelope(torch.zeros(1))) == 1.0


def test_an_atom_leaves_without_a_jump(model: EGNN) -> None:
    x = torch.tensor([[0.0, 0, 0], [1.2, 0, 0], [3.0, 0, 0]], dtype=torch.float64)
    numbers = torch.tensor([6, 8, 1])
    far = []
    for shift in (-1e-6, 1e-6):
        y = x.clone()
        y[2, 0] += shift
        far.append(energy_and_forces(model, graph(y, numbers)))
    assert (far[0][0] - far[1][0]).abs() < 1e-7
    torch.testing.assert_close(far[0][1], far[1][1], rtol=0, atol=1e-4)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A fresh network: its forces are as conservative as those of a trained one."""
    metadata = Metadata(
        method="test", scale=0.3, references={6: -1.0, 8: -2.0, 1: -0.5}, model=SETTINGS, seed=3
    )
    ForceField.fresh(metadata).save(tmp_path / "ff")
    return tmp_path / "ff"


def test_nve_dynamics_conserves_energy(saved: Path) -> None:
    """Drift over 100 fs below 1e-4 eV an atom at 0.25 fs and 300 K."""
    atoms = Atoms(NUMBERS.numpy(), positions().numpy())
    atoms.calc = ForgefieldCalculator(saved)
    generator = np.random.default_rng(0)
    spread = np.sqrt(atoms.get_masses()[:, None] * units.kB * 300)
    atoms.set_momenta(spread * generator.normal(size=(len(atoms), 3)))
    motion = VelocityVerlet(atoms, 0.25 * units.fs)
    before = atoms.get_total_energy()
    start = atoms.positions.copy()
    drift = []
    for _ in range(16):
        motion.run(25)
        drift.append(abs(atoms.get_total_energy() - before) / len(atoms))
    assert max(drift) < 1e-4
    assert np.abs(atoms.positions - start).max() > 0.2


def test_calculator_gives_the_batched_numbers_and_refuses_periodic_cells(saved: Path) -> None:
    atoms = Atoms(NUMBERS.numpy(), positions().numpy())
    atoms.calc = ForgefieldCalculator(saved)
    network = ForceField.load(saved).network.double()
    energy, forces = energy_and_forces(network, graph(positions()))
    assert atoms.get_potential_energy() == pytest.approx(float(energy) * 0.3 - 5.0, abs=1e-10)
    np.testing.assert_allclose(atoms.get_forces(), forces.numpy() * 0.3, atol=1e-10)
    atoms.pbc = True
    with pytest.raises(InputError, match="pbc"):
        atoms.get_potential_energy()


def test_batches_hold_the_energies_of_single_frames(model: EGNN) -> None:
    one, two = graph(positions(0)), graph(positions(1))
    joint = replace(
        one,
        numbers=torch.cat([one.numbers, two.numbers]),
        positions_A3=torch.cat([positions(0), positions(1)]),
        source=torch.cat([one.source, two.source + 6]),
        target=torch.cat([one.target, two.target + 6]),
        frame_A=torch.cat([one.frame_A, two.frame_A + 1]),
        frames=2,
    )
    energy, forces = energy_and_forces(model, joint)
    for place, single in enumerate((one, two)):
        alone, alone_forces = energy_and_forces(model, single)
        torch.testing.assert_close(energy[place : place + 1], alone, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(
            forces[6 * place : 6 * place + 6], alone_forces, rtol=1e-9, atol=1e-12
        )
