"""Units of an imported file: what contradicts the numbers is refused, with the unit that fits."""

from dataclasses import replace
from pathlib import Path

import ase.data
import numpy as np
import pytest

from forgefield.platform.foreign_labels.judging import Judged, Question, judge
from forgefield.platform.foreign_labels.stated import Stated
from forgefield.storage.errors import InputError
from forgefield.storage.formats.plausible_lengths import RADII_A
from forgefield.storage.records import Array
from forgefield.storage.units import ANGSTROM_PER_BOHR, EV_PER_HARTREE

NUMBERS = np.array([8, 1, 1])
REST = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])
HARTREE = Stated(method="PBE/def2-SVP", energy_unit="Hartree")
EV_PER_A = EV_PER_HARTREE / ANGSTROM_PER_BOHR
"""One Hartree/bohr."""


def water() -> tuple[Array, Array, Array]:
    """Positions (Å), energies (eV) and forces (eV/Å) of springs between the atoms of water."""
    positions = REST + np.random.default_rng(0).normal(scale=0.04, size=(60, 3, 3))
    steps = positions[:, :, None] - positions[:, None]
    lengths = np.linalg.norm(steps, axis=3)
    stretch = lengths - np.linalg.norm(REST[:, None] - REST, axis=2)
    energies = -2079.0 + 7.0 * (stretch**2).sum(axis=(1, 2))
    pulls = (stretch / (lengths + np.eye(3)))[..., None] * steps
    return positions, energies, -28.0 * pulls.sum(axis=2)


def judged(path: Path, stated: Stated, *, trust: bool = False, **arrays: Array) -> Judged:
    np.savez(path, allow_pickle=False, z=NUMBERS, **arrays)
    return judge(Question(path, stated, trust=trust))


def test_forces_in_hartree_by_bohr_beside_angstrom(tmp_path: Path) -> None:
    positions, energies, forces = water()
    arrays = {"R": positions, "E": energies / EV_PER_HARTREE, "F": forces / EV_PER_A}
    with pytest.raises(InputError, match="--force-unit Hartree/bohr"):
        judged(tmp_path / "mix.npz", HARTREE, **arrays)
    stated = replace(HARTREE, force_unit="Ha/bohr")
    found = judged(tmp_path / "mix.npz", stated, **arrays)
    np.testing.assert_allclose(found.frames.forces_A3, forces.reshape(-1, 3), rtol=1e-12)
    np.testing.assert_allclose(found.frames.energy_F, energies, rtol=1e-14)
    assert found.units.force == "Hartree/bohr"


def test_forces_by_angstrom_beside_bohr(tmp_path: Path) -> None:
    positions, energies, forces = water()
    arrays = {"R": positions / ANGSTROM_PER_BOHR, "E": energies, "F": forces}
    stated = Stated(method="PBE/def2-SVP", energy_unit="eV", length_unit="bohr")
    with pytest.raises(InputError, match="--force-unit eV/angstrom"):
        judged(tmp_path / "mix.npz", stated, **arrays)


@pytest.mark.parametrize("unit", ["eV", "eV/foot", "Hartree*bohr"])
def test_no_unit_of_force(unit: str, tmp_path: Path) -> None:
    positions, energies, _ = water()
    with pytest.raises(InputError, match="no unit of"):
        judged(tmp_path / "w.npz", replace(HARTREE, force_unit=unit), R=positions, E=energies)


def in_bohr() -> dict[str, Array]:
    positions, energies, forces = water()
    return {
        "R": positions / ANGSTROM_PER_BOHR,
        "E": energies / EV_PER_HARTREE,
        "F": forces / EV_PER_A,
    }


def test_lengths_in_bohr_that_nobody_states(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r" 1\.8.* --length-unit bohr"):
        judged(tmp_path / "bohr.npz", HARTREE, **in_bohr())
    found = judged(tmp_path / "bohr.npz", replace(HARTREE, length_unit="bohr"), **in_bohr())
    np.testing.assert_allclose(found.frames.positions_A3, water()[0].reshape(-1, 3))
    trusted = judged(tmp_path / "bohr.npz", HARTREE, trust=True, **in_bohr())
    np.testing.assert_array_equal(trusted.frames.positions_A3, in_bohr()["R"].reshape(-1, 3))


def test_lengths_that_the_file_states_otherwise(tmp_path: Path) -> None:
    positions, energies, _ = water()
    arrays = {"R": positions, "E": energies / EV_PER_HARTREE, "r_unit": np.array("Ang")}
    for trust in (False, True):
        stated = replace(HARTREE, length_unit="bohr")
        with pytest.raises(InputError, match="length is in Ang, --length-unit says bohr"):
            judged(tmp_path / "says.npz", stated, trust=trust, **arrays)
    arrays["r_unit"] = np.array("bohr")
    with pytest.raises(InputError, match="--length-unit angstrom"):
        judged(tmp_path / "lies.npz", HARTREE, **arrays)


def salt(side: float) -> str:
    """A cell of rock salt, eight ions, with the file's word for its lattice constant."""
    corners = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
    ions = [("Na", at) for at in corners] + [("Cl", at + 0.5) for at in corners]
    rows = "".join(
        f"{name} {x} {y} {z}\n" for name, (x, y, z) in ((n, at * side) for n, at in ions)
    )
    cell = f"{side} 0 0 0 {side} 0 0 0 {side}"
    return f'8\nLattice="{cell}" energy=-67700.0 Properties=species:S:1:pos:R:3\n{rows}'


def test_crystals_have_neighbours_in_the_next_cell(tmp_path: Path) -> None:
    path = tmp_path / "salt.xyz"
    path.write_text(salt(5.64))
    stated = Stated(method="PBE/def2-SVP", energy_unit="eV")
    assert judge(Question(path, stated)).units.length == "angstrom"
    path.write_text(salt(5.64 / ANGSTROM_PER_BOHR))
    with pytest.raises(InputError, match="--length-unit bohr"):
        judge(Question(path, stated))
    assert judge(Question(path, replace(stated, length_unit="bohr"))).units.length == "bohr"


def test_radii_are_those_of_the_literature() -> None:
    np.testing.assert_allclose(RADII_A[1:], ase.data.covalent_radii[1 : len(RADII_A)], atol=0.006)
