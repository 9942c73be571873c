"""What a file says in words of several meanings, or says twice, is refused; what is clear is read.

Spins, results of two calculators in one frame, virials, boxes of sGDML.
"""

from pathlib import Path
from typing import Any

import ase.db
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator

from forgefield.platform.foreign_labels.judging import Question, judge
from forgefield.platform.foreign_labels.stated import Stated
from forgefield.storage.errors import InputError
from forgefield.storage.formats.ase_db import read_ase_db
from forgefield.storage.formats.extended_xyz_reading import read_extended_xyz
from forgefield.storage.formats.foreign import UNSTATED
from forgefield.storage.formats.sgdml import read_sgdml

CALLER = Stated(method="PBE/def2-SVP", energy_unit="eV")
FORCES = "Properties=species:S:1:pos:R:3:forces:R:3"
REF_FORCES = "Properties=species:S:1:pos:R:3:REF_forces:R:3"
BARE = "Properties=species:S:1:pos:R:3"
BOX = 'Lattice="10 0 0 0 10 0 0 0 5"'


def oxygen(path: Path, *comments: str) -> Path:
    """One frame of O2 a comment line, with a column of zeros for forces where it names some."""
    rows = []
    for comment in comments:
        zeros = " 0 0 1" if "orces" in comment else ""
        rows.append(f"2\n{comment}\nO 0 0 0{zeros}\nO 0 0 1.2{zeros}\n")
    path.write_text("".join(rows))
    return path


@pytest.mark.parametrize("field", ["spin=3", "spin=1.0", "total_spin=3"])
def test_a_spin_may_mean_three_things(field: str, tmp_path: Path) -> None:
    path = oxygen(tmp_path / "o2.xyz", f"{BARE} energy=-4090 charge=0 {field}")
    with pytest.raises(InputError, match=r"Frame 0 .*2S\+1.*multiplicity"):
        judge(Question(path, CALLER))
    stated = Stated(method="PBE/def2-SVP", energy_unit="eV", multiplicity=3)
    assert judge(Question(path, stated)).frames.multiplicity_F.tolist() == [3]
    clear = oxygen(tmp_path / "o2.xyz", f"{BARE} energy=-4090 multiplicity=3 {field}")
    assert judge(Question(clear, CALLER)).frames.multiplicity_F.tolist() == [3]


@pytest.mark.parametrize(
    "comments",
    [
        (f"{REF_FORCES} energy=-1.0 REF_energy=-4090",),
        (f"{REF_FORCES} energy=-4090",),
        (f"{FORCES} REF_energy=-4090",),
        (f'{FORCES} energy=-4090 REF_stress="1 0 0 0 1 0 0 0 1"',),
        (f"{FORCES} energy=-4090", f"{REF_FORCES} REF_energy=-4090"),
    ],
)
def test_two_calculators_are_not_mixed(comments: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"o2\.xyz has .* and REF_.* two calculators\. Drop"):
        read_extended_xyz(oxygen(tmp_path / "o2.xyz", *comments))


def test_one_family_is_read_whole(tmp_path: Path) -> None:
    reference = f'{REF_FORCES} {BOX} REF_energy=-4090 REF_stress="1 0 0 0 2 0 0 0 3"'
    found = read_extended_xyz(oxygen(tmp_path / "o2.xyz", reference))
    assert found.energy_F.tolist() == [-4090]
    assert found.forces_A3.tolist() == [[0, 0, 1], [0, 0, 1]]
    assert np.array_equal(found.stress_F33[0], np.diag([1, 2, 3]))


@pytest.mark.parametrize("name", ["virial", "virials", "REF_virials"])
def test_a_virial_is_a_stress_with_another_sign(name: str, tmp_path: Path) -> None:
    energy = "REF_energy" if name.startswith("REF") else "energy"
    comment = f'{BARE} {BOX} {energy}=-4090 {name}="50 5 0 5 -25 0 0 0 100"'
    found = read_extended_xyz(oxygen(tmp_path / "o2.xyz", comment))
    wanted = -np.array([[50, 5, 0], [5, -25, 0], [0, 0, 100]]) / 500
    np.testing.assert_allclose(found.stress_F33[0], wanted, rtol=1e-15)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ('virial="1 0 0 0 1 0 0 0 1"', "no box"),
        (f'{BOX} pbc="T T F" virial="1 0 0 0 1 0 0 0 1"', "no box"),
        (f'{BOX} virial="5 0 0 0 5 0 0 0 5" stress="0.01 0 0 0 0.01 0 0 0 0.01"', "isn't minus"),
    ],
)
def test_virials_that_make_no_stress(fields: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"Frame 0 .*{said}"):
        read_extended_xyz(oxygen(tmp_path / "o2.xyz", f"{BARE} energy=-4090 {fields}"))


def lattice(path: Path, **arrays: Any) -> Path:
    positions = np.array([[[0.0, 0, 0], [0, 0, 1.2]]] * 2)
    np.savez(path, z=np.array([8, 8]), R=positions, E=np.full(2, -4090.0), **arrays)
    return path


def test_the_columns_of_an_sgdml_lattice_are_vectors(tmp_path: Path) -> None:
    vectors = np.array([[10.0, 0, 0], [2, 9, 0], [0, 1, 8]])
    found = read_sgdml(lattice(tmp_path / "box.npz", lattice=vectors.T))
    assert np.array_equal(found.cell_F33, [vectors, vectors])
    assert np.isnan(read_sgdml(lattice(tmp_path / "none.npz")).cell_F33).all()


@pytest.mark.parametrize("shape", [np.eye(3)[:2], np.zeros((3, 3)), np.ones(3)])
def test_a_lattice_that_spans_no_box(shape: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lattice of shape"):
        read_sgdml(lattice(tmp_path / "box.npz", lattice=shape))


def test_an_archive_with_a_bare_spin(tmp_path: Path) -> None:
    path = lattice(tmp_path / "spin.npz", spin=np.array(3))
    with pytest.raises(InputError, match=r"2S\+1"):
        judge(Question(path, CALLER))


def row(path: Path, data: dict[str, Any], **pairs: Any) -> Path:
    """A row of hydroxide as another program would write it, with initial charges."""
    atoms = ase.Atoms("OH", [[0, 0, 0], [0, 0, 0.97]])
    atoms.calc = SinglePointCalculator(atoms, energy=-2060.0, charges=np.array([-0.33, 0.33]))
    with ase.db.connect(path, use_lock_file=False) as database:
        database.write(atoms, key_value_pairs=pairs, data=data)
    return path


def test_a_database_that_states_no_charge(tmp_path: Path) -> None:
    """ASE says 0 for such rows; the caller's −1 is no contradiction."""
    path = row(tmp_path / "oh.db", {})
    assert read_ase_db(path).charge_F.tolist() == [UNSTATED]
    stated = Stated(method="PBE/def2-SVP", charge=-1)
    assert judge(Question(path, stated)).frames.charge_F.tolist() == [-1]
    assert read_ase_db(row(tmp_path / "kv.db", {}, total_charge=-1)).charge_F.tolist() == [-1]
    assert read_ase_db(row(tmp_path / "data.db", {"charge": -1})).charge_F.tolist() == [-1]
    spun = row(tmp_path / "spin.db", {}, spin=1)
    with pytest.raises(InputError, match=r"2S\+1"):
        judge(Question(spun, Stated(method="PBE/def2-SVP")))
