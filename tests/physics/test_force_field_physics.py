"""What a force field does in motion, and the functions of distance it is made of, in float64.

What every model obeys is asked in `tests/contracts/test_model_contract.py`.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.md.verlet import VelocityVerlet
from graphs_at_hand import CUTOFF, ELEMENTS, NUMBERS, graph_of, positions

from forgefield.storage.errors import InputError
from forgefield.trainers.calculator import ForgefieldCalculator
from forgefield.trainers.force_field import ForceField, Metadata
from forgefield.trainers.model_settings import EGNNSettings
from forgefield.trainers.models import energy_and_forces
from forgefield.trainers.models.activations import silu
from forgefield.trainers.models.bases import envelope

SETTINGS = EGNNSettings(layers=3, channels=16, radial=8, cutoff=CUTOFF, elements=ELEMENTS)


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


def test_calculator_gives_the_batched_numbers(saved: Path) -> None:
    atoms = Atoms(NUMBERS.numpy(), positions().numpy())
    atoms.calc = ForgefieldCalculator(saved)
    network = ForceField.load(saved).network.double()
    energy, forces = energy_and_forces(network, graph_of(positions()))
    assert atoms.get_potential_energy() == pytest.approx(float(energy) * 0.3 - 5.0, abs=1e-10)
    np.testing.assert_allclose(atoms.get_forces(), forces.numpy() * 0.3, atol=1e-10)


def test_calculator_refuses_elements_it_has_no_energy_for(saved: Path) -> None:
    atoms = Atoms("N2", [[0, 0, 0], [0, 0, 1.1]])
    atoms.calc = ForgefieldCalculator(saved)
    with pytest.raises(InputError, match="N2"):
        atoms.get_potential_energy()
