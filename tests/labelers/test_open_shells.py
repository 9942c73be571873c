"""Radicals, triplets and ions: the right state, its slope, and errors that name a way out."""

from dataclasses import replace

import numpy as np
import pytest

from forgefield.labelers.molecules import find_molecule
from forgefield.labelers.open_shell_ccsd_t import open_shell_energy, refuse_open_shell_forces
from forgefield.labelers.registry import labeler_for
from forgefield.storage.errors import InputError, NeedsLargerMachine
from forgefield.storage.records import Configuration, Molecule

EV = 27.211386245988


def diatomic(name: str, numbers: tuple[int, int], length: float, multiplicity: int) -> Molecule:
    positions_A3 = np.array([(0.1, 0.2, -0.1), (0.1, 0.2, length - 0.1)])
    return Molecule(name, numbers, positions_A3, 0, multiplicity)


HYDROXYL = diatomic("hydroxyl", (8, 1), 1.0, 2)
OXYGEN = diatomic("oxygen", (8, 8), 1.25, 3)
NITRIC_OXIDE = diatomic("nitric oxide", (7, 8), 1.18, 2)
HYDRONIUM = Molecule(
    "hydronium",
    (8, 1, 1, 1),
    np.array([(0, 0, 0.1), (0.95, 0, -0.2), (-0.48, 0.85, -0.18), (-0.47, -0.83, -0.2)]),
    charge=1,
)
SPECIES = (HYDROXYL, OXYGEN, NITRIC_OXIDE, HYDRONIUM)


def at(molecule: Molecule, scale: float = 1.0) -> Configuration:
    return Configuration(
        molecule.name,
        molecule.numbers,
        scale * molecule.positions_A3,
        molecule.charge,
        molecule.multiplicity,
    )


@pytest.mark.parametrize("molecule", SPECIES, ids=lambda molecule: molecule.name)
@pytest.mark.parametrize(
    ("method", "step", "tolerance"), [("PBE-D4/6-31G", 0.02, 5e-3), ("HF/6-31G", 0.004, 5e-4)]
)
def test_forces_are_the_slope_of_the_energy(
    method: str, step: float, tolerance: float, molecule: Molecule
) -> None:
    """EV. The hole in hydroxyl's π shell may lie anywhere, which on a grid costs 1e-4 eV.

    UHF has a second solution for nitric oxide where it is stretched by 4 %.
    """
    labeler = labeler_for(method)
    labeler.check(molecule)
    label = labeler.label(at(molecule))
    low2, low, high, high2 = (
        labeler.label(at(molecule, 1 + k * step)).energy for k in (-2, -1, 1, 2)
    )
    slope = (8 * (high - low) - (high2 - low2)) / (12 * step)
    assert -slope == pytest.approx(np.vdot(label.forces_A3, molecule.positions_A3), abs=tolerance)
    assert label.provenance.diagnostics["residual_force"] < 1e-4
    contamination = label.provenance.diagnostics.get("spin_contamination", 0.0)
    assert -1e-6 < contamination < 0.3


def test_triplet_oxygen_lies_below_the_singlet() -> None:
    """In larger bases the closed shell ends at an excited state only, and is refused."""
    labeler = labeler_for("PBE/STO-3G, grid 2, energy only")
    triplet = labeler.label(at(OXYGEN)).energy
    assert labeler.label(at(replace(OXYGEN, multiplicity=1))).energy > triplet + 0.5


@pytest.mark.parametrize(
    ("molecule", "expected"), [(HYDROXYL, -75.5), (OXYGEN, -149.95), (NITRIC_OXIDE, -129.55)]
)
def test_ccsd_t_energies_of_open_shells(molecule: Molecule, expected: float) -> None:
    """Below UMP2 or near it, below UHF in any case, and about what cc-pVDZ gives (hartree)."""
    found = open_shell_energy(at(molecule), "cc-pVDZ", True, 4_000_000_000)
    field = labeler_for("HF/cc-pVDZ, energy only").label(at(molecule))
    second = labeler_for("MP2/cc-pVDZ, energy only").label(at(molecule))
    assert found.forces_A3 is None
    assert found.energy < second.energy < field.energy
    assert found.energy / EV == pytest.approx(expected, abs=0.1)
    assert {"t1", "cc_iterations", "spin_contamination"} <= set(found.diagnostics)


def test_on_closed_shells_both_ccsd_t_agree() -> None:
    water = find_molecule("water")
    shape = Configuration("water", water.numbers, water.positions_A3)
    closed = labeler_for("CCSD(T)/6-31G, energy only").label(shape)
    t1 = closed.provenance.diagnostics["t1"]
    opened = open_shell_energy(shape, "6-31G", True, 4_000_000_000)
    assert opened.energy == pytest.approx(closed.energy, abs=1e-5)
    assert opened.diagnostics["t1"] == pytest.approx(t1, rel=1e-2)


def test_refusals_name_the_next_step() -> None:
    with pytest.raises(InputError, match="frozen core, energy only"):
        refuse_open_shell_forces(OXYGEN, "CCSD(T)/cc-pVDZ, frozen core")
    refuse_open_shell_forces(HYDRONIUM, "CCSD(T)/cc-pVDZ, frozen core")
    with pytest.raises(InputError, match="don't fit"):
        labeler_for("MP2/cc-pVDZ, energy only").check(replace(HYDROXYL, multiplicity=1))
    with pytest.raises(NeedsLargerMachine, match="raise the memory"):
        open_shell_energy(at(OXYGEN), "cc-pVTZ", True, 300_000_000)
