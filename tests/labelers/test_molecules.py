"""Molecules from names, SMILES and files, and what is said of everything else."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from forgefield.labelers.molecules import NAMES, find_molecule
from forgefield.storage.errors import InputError

FORMULAS = {
    "aspirin": 21,
    "azobenzene": 24,
    "benzene": 12,
    "ethanol": 9,
    "malonaldehyde": 9,
    "naphthalene": 18,
    "paracetamol": 20,
    "salicylic acid": 16,
    "toluene": 15,
    "uracil": 12,
    "water": 3,
}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_names_give_relaxed_closed_shell_molecules(name: str) -> None:
    molecule = find_molecule(name)
    assert molecule.name == name
    assert (molecule.charge, molecule.multiplicity) == (0, 1)
    assert len(molecule.numbers) == FORMULAS.get(name, len(molecule.numbers))
    assert pdist(molecule.positions_A3).min() > 0.9
    assert "V2000" in molecule.mol_block


@pytest.mark.parametrize("text", ["Salicylic Acid", "salicylic_acid", " salicylic-acid "])
def test_spellings_of_a_name_agree(text: str) -> None:
    assert find_molecule(text).name == "salicylic acid"


def test_the_same_text_gives_the_same_geometry() -> None:
    first, second = find_molecule("CCO"), find_molecule("CCO")
    np.testing.assert_array_equal(first.positions_A3, second.positions_A3)


def test_malonaldehyde_is_the_dialdehyde() -> None:
    assert find_molecule("malonaldehyde").smiles == "O=CCC=O"


def test_charge_and_spin_come_from_the_smiles() -> None:
    assert find_molecule("[NH4+]").charge == 1
    assert find_molecule("[CH3]").multiplicity == 2
    assert find_molecule("[O][O]").multiplicity == 3
    assert find_molecule("water", multiplicity=3).multiplicity == 3


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("aspirn", "did you mean aspirin"),
        ("", "no molecule given"),
        ("CC(", "no known name"),
        ("[Na+].[Cl-]", "2 separate molecules"),
        ("C" * 5000, "5000 characters"),
        ("C" * 1999, "at most 500"),
        ("*C", "wildcard"),
        ("a\0b", "control characters"),
        ("\x1b[31m", "control characters"),
        ("\ud800", "control characters"),
        ("/etc/passwd", "can't read"),
        ("nowhere.xyz", "no file"),
        ("../../..", "no known name"),
    ],
)
def test_what_is_no_molecule_is_an_input_error(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        find_molecule(text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("charge", "multiplicity", "reason"),
    [(1, None, "has charge 0"), (None, 2, "is odd"), (None, 0, "is odd"), (None, 13, "10 elec")],
)
def test_impossible_electrons_are_refused(
    charge: int | None, multiplicity: int | None, reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        find_molecule("water", charge=charge, multiplicity=multiplicity)


def write_xyz(path: Path, symbols: str, positions_A3: np.ndarray) -> None:
    rows = "\n".join(f"{s} {x} {y} {z}" for s, (x, y, z) in zip(symbols, positions_A3, strict=True))
    path.write_text(f"{len(symbols)}\n\n{rows}\n")


def test_bonds_of_an_xyz_file_are_perceived(tmp_path: Path) -> None:
    formaldehyde = find_molecule("formaldehyde")
    write_xyz(tmp_path / "h2co.xyz", "COHH", formaldehyde.positions_A3)
    molecule = find_molecule(str(tmp_path / "h2co.xyz"))
    assert (molecule.name, molecule.smiles) == ("h2co", "C=O")
    np.testing.assert_allclose(molecule.positions_A3, formaldehyde.positions_A3, atol=1e-6)


def test_an_ion_in_a_file_needs_its_charge(tmp_path: Path) -> None:
    ammonium = find_molecule("[NH4+]")
    write_xyz(tmp_path / "ion.xyz", "NHHHH", ammonium.positions_A3)
    assert find_molecule(str(tmp_path / "ion.xyz"), charge=1).smiles == "[NH4+]"
    with pytest.raises(InputError, match="11 electrons"):
        find_molecule(str(tmp_path / "ion.xyz"))


def test_sdf_keeps_bonds_and_geometry(tmp_path: Path) -> None:
    uracil = find_molecule("uracil")
    (tmp_path / "u.sdf").write_text(uracil.mol_block + "$$$$\n")
    molecule = find_molecule(str(tmp_path / "u.sdf"))
    assert molecule.smiles == uracil.smiles
    np.testing.assert_allclose(molecule.positions_A3, uracil.positions_A3, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.xyz", "", "is empty"),
        ("torn.xyz", "5\n\nC 0 0", "can't read"),
        ("noise.sdf", "nothing\n", "no molecule"),
        ("far.xyz", "2\n\nHe 0 0 0\nHe 0 0 9\n", "2 separate"),
        ("nan.xyz", "1\n\nHe 0 0 nan\n", "not a number"),
    ],
)
def test_broken_files_are_input_errors(
    tmp_path: Path, name: str, content: str, reason: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=reason):
        find_molecule(str(tmp_path / name))
