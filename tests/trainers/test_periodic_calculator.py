"""The calculator in periodic boxes: energies, stress, what it refuses, and dynamics."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.calculator import PropertyNotImplementedError
from ase.md.verlet import VelocityVerlet
from boxes_at_hand import NUMBERS, SKEWED, WATER, supercell
from graphs_at_hand import graph_of

from forgefield.storage.errors import InputError
from forgefield.trainers.calculator import ForgefieldCalculator
from forgefield.trainers.force_field import ForceField, Metadata
from forgefield.trainers.graphs.skin import SkinnedTable
from forgefield.trainers.model_settings import PaiNNSettings
from forgefield.trainers.models import energy_and_forces

CUTOFF = 3.0
MODEL = PaiNNSettings(layers=2, channels=8, radial=4, cutoff=CUTOFF, elements=(1, 8))
Saved = Callable[..., Path]


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    """Saves a fresh force field and returns its folder."""

    def save(compositions: tuple[tuple[int, ...], ...] = ()) -> Path:
        metadata = Metadata(
            method="test",
            scale=0.3,
            references={8: -2.0, 1: -0.5},
            model=MODEL,
            compositions=compositions,
            seed=4,
        )
        ForceField.fresh(metadata).save(tmp_path / "ff")
        return tmp_path / "ff"

    return save


def box_of_water(copies: int = 1) -> Atoms:
    x, cell = supercell(copies)
    return Atoms("OH2" * copies**3, x.numpy(), cell=cell.numpy(), pbc=True)


def test_calculator_has_energy_forces_and_stress_of_a_box(saved: Saved) -> None:
    atoms = box_of_water()
    atoms.calc = ForgefieldCalculator(saved(((1, 1, 8),)))
    network = ForceField.load(saved()).network.double()
    energy, forces = energy_and_forces(network, graph_of(WATER, numbers=NUMBERS, cell=SKEWED))
    assert atoms.get_potential_energy() == pytest.approx(float(energy) * 0.3 - 3.0, abs=1e-10)
    np.testing.assert_allclose(atoms.get_forces(), forces.numpy() * 0.3, atol=1e-10)
    step, slopes = 1e-5, []
    for strain in (np.diag([1.0, 0, 0]), np.array([[0, 0, 0], [0, 0, 0.5], [0, 0.5, 0]])):
        ends = []
        for sign in (1, -1):
            strained = atoms.copy()
            strained.calc = atoms.calc
            strained.set_cell(atoms.cell @ (np.eye(3) + sign * step * strain), scale_atoms=True)
            ends.append(strained.get_potential_energy())
        slopes.append((ends[0] - ends[1]) / (2 * step) / atoms.get_volume())
    stress = atoms.get_stress()
    np.testing.assert_allclose(stress[[0, 3]], slopes, rtol=1e-5, atol=1e-8)
    assert np.abs(stress).max() > 1e-4


def test_calculator_takes_supercells_and_slabs_but_no_other_species(saved: Saved) -> None:
    calculator = ForgefieldCalculator(saved(((1, 1, 8),)))
    one_box, eight = box_of_water(), box_of_water(2)
    for atoms in (one_box, eight):
        atoms.calc = calculator
    energy = one_box.get_potential_energy()
    assert eight.get_potential_energy() == pytest.approx(8 * energy, rel=1e-10)
    one_box.pbc = (False, True, True)
    assert abs(one_box.get_potential_energy() - energy) > 1e-4
    with pytest.raises(PropertyNotImplementedError):
        one_box.get_stress()
    two_in_vacuum = eight[:6]
    two_in_vacuum.pbc = False
    two_in_vacuum.calc = calculator
    with pytest.raises(InputError, match=r"trained on H2O; OH2OH2 is something else"):
        two_in_vacuum.get_potential_energy()
    peroxide = Atoms("O2H2", np.eye(4, 3) * 2, cell=[4.0] * 3, pbc=True, calculator=calculator)
    with pytest.raises(InputError, match=r"trained on H2O; O2H2 is something else"):
        peroxide.get_potential_energy()
    peroxide.calc = ForgefieldCalculator(saved(((1, 1, 8), (6, 8), (6, 8))))
    with pytest.raises(InputError, match=r"trained on CO and H2O; O2H2 is"):
        peroxide.get_potential_energy()
    methane = Atoms("CH4", np.eye(5, 3) * 2, calculator=ForgefieldCalculator(saved()))
    with pytest.raises(InputError, match=r"trained on the elements H, O; CH4 is something else"):
        methane.get_potential_energy()


def test_what_was_trained_in_free_space_refuses_a_box(saved: Saved) -> None:
    folder = saved(((1, 1, 8),))
    known = ForceField.load(folder)
    metadata = known.metadata.model_copy(update={"periodic": False})
    replace(known, metadata=metadata).save(folder)
    atoms = box_of_water()
    atoms.calc = ForgefieldCalculator(folder)
    with pytest.raises(InputError, match=r"set atoms\.pbc = False"):
        atoms.get_potential_energy()
    atoms.pbc = False
    assert np.isfinite(atoms.get_potential_energy())


def test_a_periodic_direction_without_a_vector_is_named(saved: Saved) -> None:
    atoms = Atoms("OH2", WATER.numpy(), cell=[5.0, 5.0, 0.0], pbc=True)
    atoms.calc = ForgefieldCalculator(saved())
    with pytest.raises(InputError, match=r"set atoms\.cell"):
        atoms.get_potential_energy()


def test_neighbours_are_searched_again_only_when_they_may_have_changed() -> None:
    table = SkinnedTable(CUTOFF, skin=0.4)
    cell, x = SKEWED.numpy(), WATER.numpy().copy()
    first = table.at(x, cell)
    x[0, 0] += 0.19
    assert table.at(x, cell) is first
    x[0, 0] += 0.02
    assert table.at(x, cell) is not first
    table.at(x, cell * 1.001)
    table.at(x, np.full((3, 3), np.nan))
    table.at(x[:2], np.full((3, 3), np.nan))
    assert table.made == 5


def test_dynamics_of_a_box_keeps_its_energy_and_searches_seldom(saved: Saved) -> None:
    """As with a search in every step, over 40 fs at 300 K, through several searches."""
    atoms = box_of_water()
    spread = np.sqrt(atoms.get_masses()[:, None] * units.kB * 300)
    atoms.set_momenta(spread * np.random.default_rng(0).normal(size=(3, 3)))
    ends, searches, drift = [], [], []
    for skin in (0.3, 0.0):
        moving = atoms.copy()
        moving.calc = ForgefieldCalculator(saved(), skin=skin)
        motion = VelocityVerlet(moving, 0.25 * units.fs)
        before = moving.get_total_energy()
        for _ in range(8):
            motion.run(20)
            drift.append(abs(moving.get_total_energy() - before) / len(moving))
        ends.append(moving.positions)
        searches.append(moving.calc.sums[0][0].table.made)
    assert max(drift) < 1e-4
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-8)
    assert np.abs(ends[0] - atoms.positions).max() > 0.2
    assert 2 < searches[0] < 40
    assert searches[1] == 161


@pytest.mark.parametrize("place", [[0.0, 0.0, 0.0], [np.nan, 0.0, 0.0]])
def test_no_number_is_no_force(saved: Saved, place: list[float]) -> None:
    """Dynamics would go on with NaN."""
    atoms = Atoms("OH2", [[0.0, 0.0, 0.0], place, [0.0, 0.9, 0.3]])
    atoms.calc = ForgefieldCalculator(saved(((1, 1, 8),)))
    with pytest.raises(InputError, match="no number for the force on atoms"):
        atoms.get_forces()
