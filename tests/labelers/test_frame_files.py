"""Every frame of a file, of any format, with its own charge and spin, or a reason why not."""

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from rdkit import Chem
from rdkit.Chem import AllChem

from forgefield.labelers.frame_files import read_frames
from forgefield.labelers.frame_molecules import formula, geometries_of
from forgefield.storage.errors import InputError


def written(folder: Path, name: str, frames: list[Atoms]) -> Path:
    ase.io.write(folder / name, frames, format="extxyz")
    return folder / name


def with_info(name: str, **info: object) -> Atoms:
    atoms = molecule(name)
    atoms.info.update(info)
    return atoms


def test_molecules_charges_and_spins_differ_within_a_file(tmp_path: Path) -> None:
    ammonium = Atoms("NH4", molecule("CH4").positions, info={"charge": 1, "tag": "a"})
    file = written(tmp_path, "f.xyz", [molecule("H2O"), ammonium, with_info("O2", multiplicity=3)])
    frames = read_frames(file)
    assert [(f.charge, f.multiplicity) for f in frames] == [(0, 1), (1, 1), (0, 3)]
    assert frames[1].info["tag"] == "a"
    found = geometries_of(frames, bonds=False)
    assert list(found.molecules) == ["H2O", "H4N+", "O2"]
    assert found.molecule(2).multiplicity == 3


def test_formulas_are_hills() -> None:
    assert formula((6, 1, 1, 1)) == "CH3"
    assert formula((8, 8), -2) == "O22-"


@pytest.mark.parametrize("names", [("R", "z"), ("coords", "nuclear_charges")])
def test_archives_of_sgdml_and_rmd17(tmp_path: Path, names: tuple[str, str]) -> None:
    positions = np.random.default_rng(0).normal(size=(4, 3, 3))
    np.savez(tmp_path / "f.npz", **{names[0]: positions, names[1]: np.array([8, 1, 1])})
    frames = read_frames(tmp_path / "f.npz", charge=1)
    assert [f.numbers for f in frames] == [(8, 1, 1)] * 4
    assert np.array_equal(frames[3].positions_A3, positions[3])
    assert (frames[0].charge, frames[0].multiplicity) == (1, 2)


def test_sdf_brings_bonds_and_charges(tmp_path: Path) -> None:
    with Chem.SDWriter(str(tmp_path / "f.sdf")) as writer:
        for smiles in ("CO", "[NH4+]"):
            graph = Chem.AddHs(Chem.MolFromSmiles(smiles))
            AllChem.EmbedMolecule(graph, randomSeed=1)
            writer.write(graph)
    frames = read_frames(tmp_path / "f.sdf")
    assert [f.charge for f in frames] == [0, 1]
    assert geometries_of(frames, bonds=True).molecule(0).smiles == "CO"


def test_models_of_a_pdb_file_are_frames(tmp_path: Path) -> None:
    ase.io.write(tmp_path / "f.pdb", [molecule("H2O"), molecule("H2O")])
    assert len(read_frames(tmp_path / "f.pdb")) == 2


def test_isomers_are_molecules_apart_where_bonds_count(tmp_path: Path) -> None:
    ether, alcohol = molecule("CH3OCH3"), molecule("CH3CH2OH")
    order = np.argsort(-alcohol.numbers, kind="stable")
    same = [ether[np.argsort(-ether.numbers, kind="stable")], alcohol[order]]
    frames = read_frames(written(tmp_path, "f.xyz", same))
    assert len(geometries_of(frames, bonds=False).molecules) == 1
    found = geometries_of(frames, bonds=True).molecules
    assert list(found) == ["C2H6O", "C2H6O (2)"]
    assert {m.smiles for m in found.values()} == {"COC", "CCO"}


@pytest.mark.parametrize(
    ("frame", "options", "said"),
    [
        (with_info("H2O", charge=1), {"charge": 0}, r"frame 1 .*file says charge 1, --charge"),
        (with_info("H2O", multiplicity=2), {}, r"frame 1 .*10 electrons"),
        (with_info("H2O", charge=0.5), {}, r"frame 1 .*charge=0.5 is not a whole number"),
        (with_info("H2O", spin=1), {}, r"frame 1 .*spin=1 may mean"),
        (Atoms("X"), {}, r"frame 1 .*no element"),
        (Atoms("He", [[np.nan, 0, 0]]), {}, r"frame 1 .*not a number"),
        (Atoms("He", cell=[9, 9, 9], pbc=(True, True, False)), {}, "some directions only"),
    ],
)
def test_a_bad_frame_is_refused_by_its_number(
    tmp_path: Path, frame: Atoms, options: dict[str, int], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        read_frames(written(tmp_path, "f.xyz", [molecule("H2O"), frame]), **options)


@pytest.mark.parametrize(
    ("name", "text"),
    [("f.xyz", ""), ("f.xyz", "garbage\n"), ("f.sdf", "garbage\n$$$$\n"), ("f.npz", "x")],
)
def test_a_file_that_holds_no_frames_is_refused(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=name):
        read_frames(tmp_path / name)
