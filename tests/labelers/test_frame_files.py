"""Every frame of a file, of any format, with its own charge and spin, or a reason why not."""

from collections.abc import Callable
from pathlib import Path

import ase.db
import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from rdkit import Chem
from rdkit.Chem import AllChem

from forgefield.labelers.frame_files import read_frames
from forgefield.labelers.frame_molecules import geometries_of
from forgefield.storage.elements import formula
from forgefield.storage.errors import InputError
from forgefield.storage.formats.ase_db import write_ase_db
from forgefield.storage.formats.sgdml import write_sgdml
from forgefield.storage.frames import Frames
from forgefield.storage.records import (
    Configuration,
    Job,
    Label,
    Method,
    Provenance,
    Purpose,
    Tier,
)
from forgefield.storage.settled_frames import StoredFrame, from_stored


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


def ion() -> Frames:
    """Hydroxide of the hold-out in one frame, as a run would export it."""
    shape = Configuration("hydroxide", (8, 1), np.array([[0, 0, 0], [0, 0, 0.97]]), -1, 1)
    job = Job(shape, Method(Tier.XTB, "GFN2-xTB"), Purpose.TRAIN)
    label = Label(-1.0, np.zeros((2, 3)), Provenance("xtb", "6", "here", 1, 1.0, 1.0))
    return from_stored([StoredFrame(1, job, label, 100)])


@pytest.mark.parametrize(("name", "write"), [("f.npz", write_sgdml), ("f.db", write_ase_db)])
def test_our_own_exports_keep_charge_and_spin(
    tmp_path: Path, name: str, write: Callable[[Frames, Path], None]
) -> None:
    write(ion(), tmp_path / name)
    (frame,) = read_frames(tmp_path / name)
    assert (frame.numbers, frame.charge, frame.multiplicity) == ((8, 1), -1, 1)


def test_key_value_pairs_state_the_charge_and_may_not_contradict_the_data(tmp_path: Path) -> None:
    with ase.db.connect(tmp_path / "f.db") as database:
        database.write(Atoms("OH", [[0, 0, 0], [0, 0, 0.97]]), charge=-1)
    assert read_frames(tmp_path / "f.db")[0].charge == -1
    with ase.db.connect(tmp_path / "f.db") as database:
        database.write(molecule("H2O"), charge=-1, data={"charge": 1})
    with pytest.raises(InputError, match=r"row 1 .*charge=-1 .*charge=1 in its data"):
        read_frames(tmp_path / "f.db")


def save(path: Path, **arrays: object) -> Path:
    """An archive of two waters, with other `arrays`."""
    positions = np.stack([molecule("H2O").positions] * 2)
    np.savez(path, **({"R": positions, "z": np.array([8, 1, 1])} | arrays))
    return path


def test_archives_state_charges_frame_by_frame_and_may_be_padded(tmp_path: Path) -> None:
    frames = read_frames(save(tmp_path / "f.npz", Q=np.array([1, -1]), multiplicity=np.array(2)))
    assert [(f.charge, f.multiplicity) for f in frames] == [(1, 2), (-1, 2)]
    padded = save(tmp_path / "p.npz", Z=np.array([[8, 1, 1], [8, 1, 0]]), charge=np.array([0, -1]))
    with np.load(padded) as arrays:
        np.savez(padded, **{name: arrays[name] for name in ("R", "Z", "charge")})
    frames = read_frames(padded)
    assert [f.numbers for f in frames] == [(8, 1, 1), (8, 1)]
    assert [len(f.positions_A3) for f in frames] == [3, 2]


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"R": np.full((2, 3, 3), "a")}, "R of <U1"),
        ({"z": np.array([8.6, 1, 1])}, "8.6 as an atomic number"),
        ({"z": np.array([8, 1, 0])}, "0 as an atomic number"),
        ({"z": np.array([8, 1])}, r"shape \(2, 3, 3\) for atomic numbers of shape \(2,\)"),
        ({"R": np.array(1.0)}, r"shape \(\)"),
        ({"r_unit": np.array("angular")}, "angular"),
        ({"r_unit": np.array("bohr")}, "convert them to Ang"),
        ({"charge": np.array([0, 0, 1])}, "for 2 frames"),
        ({"charge": np.array(np.inf)}, "charge=inf is not a whole number"),
        ({"charge": np.array("one")}, "charge=one is not a whole number"),
        ({"spin": np.array(1)}, "spin=1 may mean"),
        ({"lattice": np.eye(3)}, "has a lattice"),
    ],
)
def test_an_archive_of_something_else_is_refused(
    tmp_path: Path, arrays: dict[str, object], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        read_frames(save(tmp_path / "f.npz", **arrays))


def test_a_damaged_archive_is_refused_wherever_it_is_damaged(tmp_path: Path) -> None:
    whole = save(tmp_path / "f.npz").read_bytes()
    (tmp_path / "f.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="Is it whole"):
        read_frames(tmp_path / "f.npz")
    refused = 0
    for place in range(0, len(whole), 11):
        flipped = bytearray(whole)
        flipped[place] ^= 0xFF
        (tmp_path / "f.npz").write_bytes(flipped)
        try:
            read_frames(tmp_path / "f.npz")
        except InputError:
            refused += 1
    assert refused > 20


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
