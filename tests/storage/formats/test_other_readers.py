"""What is written is read by the programs it is meant for, or as they document it."""

import hashlib
import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import ase.io
import lmdb
import numpy as np
import pytest
import torch
import zarr
from made_frames import few_frames
from safetensors.numpy import load
from torch_geometric.data import Data, InMemoryDataset

from forgefield.storage.errors import InputError, MissingProgram
from forgefield.storage.formats.catalogue import FORMATS, reader_of, writer_of
from forgefield.storage.formats.deepmd import write_deepmd
from forgefield.storage.formats.extended_xyz import write_extended_xyz
from forgefield.storage.formats.extended_xyz_reading import read_extended_xyz
from forgefield.storage.formats.lmdb_records import write_lmdb
from forgefield.storage.formats.pyg import write_pyg
from forgefield.storage.formats.release import write_release
from forgefield.storage.formats.release_text import ReleaseTerms
from forgefield.storage.formats.sgdml import write_sgdml
from forgefield.storage.frames import Frames


def mixed() -> Frames:
    return Frames.concatenate([few_frames(3), few_frames(2, boxed=True)])


def test_ase_finds_cell_stress_and_periodicity(tmp_path: Path) -> None:
    frames = mixed()
    write_extended_xyz(frames, tmp_path / "out.xyz")
    images = ase.io.read(tmp_path / "out.xyz", ":")
    assert [image.pbc.all() for image in images] == [False] * 3 + [True] * 2
    assert np.array_equal(images[4].cell[:], frames.cell_F33[4])
    assert np.array_equal(images[4].get_stress(voigt=False), frames.stress_F33[4])
    assert np.array_equal(images[4].get_forces(), frames.forces_A3[frames.atoms_of(4)])


def test_ase_database_rows_are_selected_and_computed_with(tmp_path: Path) -> None:
    from ase.db import connect

    frames = mixed()
    writer_of("out.db", None).write(frames, tmp_path / "out.db", lambda _: None)
    database = connect(tmp_path / "out.db")
    assert len(list(database.select(purpose="validation"))) == 1
    atoms = database.get_atoms(id=5)
    assert atoms.get_potential_energy() == frames.energy_F[4]
    assert np.array_equal(atoms.get_stress(voigt=False), frames.stress_F33[4])


def test_an_archive_has_all_that_sgdml_asks_for(tmp_path: Path) -> None:
    """The md5 is that of sgdml 1.0.3, `utils.io.dataset_md5`, seen to agree with it."""
    frames = few_frames(4)
    write_sgdml(frames, tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz", allow_pickle=False) as archive:
        assert archive["type"] == "d"
        assert archive["R"].shape == archive["F"].shape == (4, 4, 3)
        assert archive["theory"] == "PBE/def2-SVP"
        assert archive["e_unit"] == "eV"
        digest = hashlib.md5(usedforsecurity=False)
        for name in ("z", "R", "E", "F"):
            inner = hashlib.md5(archive[name].ravel().tobytes(), usedforsecurity=False).digest()
            digest.update(inner)
        assert archive["md5"] == digest.hexdigest()


def test_lmdb_holds_a_safetensors_document_a_frame(tmp_path: Path) -> None:
    frames = mixed()
    write_lmdb(frames, tmp_path / "out.lmdb")
    with (
        lmdb.open(str(tmp_path / "out.lmdb"), subdir=False, readonly=True, lock=False) as database,
        database.begin() as transaction,
    ):
        about = json.loads(transaction.get(b"forgefield"))
        assert about["frames"] == 5
        assert about["methods"] == [{"tier": "dft", "name": "PBE/def2-SVP"}]
        last = load(transaction.get(b"000000000004"))
        assert np.array_equal(last["positions"], frames.positions_A3[frames.atoms_of(4)])
        assert last["energy"] == frames.energy_F[4]
        assert np.array_equal(last["cell"], frames.cell_F33[4])
        assert "cell" not in load(transaction.get(b"000000000000"))


def test_deepmd_systems_split_by_species_and_box(tmp_path: Path) -> None:
    frames = mixed()
    write_deepmd(frames, tmp_path / "out")
    free, boxed = tmp_path / "out" / "C1H2O1", tmp_path / "out" / "C1H2O1-2"
    assert (free / "nopbc").exists()
    assert not (boxed / "nopbc").exists()
    assert (free / "type_map.raw").read_text().split() == ["H", "C", "O"]
    assert (free / "type.raw").read_text().split() == ["1", "2", "0", "0"]
    coordinates = np.load(free / "set.000" / "coord.npy")
    assert np.array_equal(coordinates.reshape(-1, 3), frames.positions_A3[: frames.ptr[3]])
    virial = np.load(boxed / "set.000" / "virial.npy")
    np.testing.assert_allclose(virial.reshape(-1, 3, 3), -(9.0**3) * frames.stress_F33[3:])


class Dataset(InMemoryDataset):
    """A dataset as PyG users open one."""

    def __init__(self, path: Path) -> None:
        super().__init__(None)
        self.load(str(path))


def test_pyg_opens_its_tensors_without_unpickling(tmp_path: Path) -> None:
    frames = mixed()
    write_pyg(frames, tmp_path / "out.pt")
    raw, _ = torch.load(tmp_path / "out.pt", weights_only=True)
    assert json.loads(bytes(raw["words"].tolist()))["molecules"] == ["methanol"]
    dataset = Dataset(tmp_path / "out.pt")
    assert len(dataset) == 5
    last = dataset[4]
    assert isinstance(last, Data)
    assert np.array_equal(last.pos.numpy(), frames.positions_A3[frames.atoms_of(4)])
    assert last.energy.item() == frames.energy_F[4]
    assert last.cell.shape == (1, 3, 3)


def test_a_release_is_complete_checked_and_open_to_stock_zarr(tmp_path: Path) -> None:
    frames = few_frames(6)
    path = tmp_path / "out.release"
    write_release(frames, path, terms=ReleaseTerms("Methanol", "CC0-1.0"))
    group = zarr.open_group(path / "frames.zarr", mode="r")
    positions = group["positions"]
    assert isinstance(positions, zarr.Array)
    assert positions.shards
    assert np.array_equal(positions[...], frames.positions_A3)
    assert group.metadata.consolidated_metadata
    card = (path / "README.md").read_text()
    assert "6 configurations were labelled by PBE/def2-SVP, computed with pyscf 2.14" in card
    assert "license: cc0-1.0" in card
    assert "CC0-1.0" in (path / "LICENSE").read_text()
    lines = (path / "splits" / "validation.csv").read_text().splitlines()
    hashes = [frames.geometry_F[place].tobytes().hex() for place in (2, 5)]
    assert lines == ["index,geometry", f"2,{hashes[0]}", f"5,{hashes[1]}"]
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=path, check=True)  # noqa: S607
    told = b"".join(each.read_bytes() for each in path.rglob("zarr.json"))
    assert b"node1" not in told


def test_a_split_in_the_store_goes_with_the_release(tmp_path: Path) -> None:
    frames = replace(few_frames(3), added_F={"split": np.array([2, -1, 0])})
    write_release(frames, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| test | 1 |\n| none | 1 |" in card
    assert "bought for" not in card
    write_extended_xyz(frames, tmp_path / "out.xyz")
    images = ase.io.read(tmp_path / "out.xyz", ":")
    assert [image.info["split"] for image in images] == ["test", "none", "train"]
    assert len((tmp_path / "out" / "splits" / "train.csv").read_text().splitlines()) == 2


def test_the_card_counts_compositions_and_small_costs(tmp_path: Path) -> None:
    """One molecule by two names, and labels that cost seconds."""
    frames = Frames.concatenate([few_frames(3), few_frames(2)])
    named = replace(frames, molecules=("methanol", "CO"), molecule_F=np.array([0, 0, 0, 1, 1]))
    write_release(named, tmp_path / "out")
    card = " ".join((tmp_path / "out" / "README.md").read_text().split())
    assert "5 labelled configurations of 1 composition(s)" in card
    assert "By the names of molecules: methanol (3), CO (2)." in card
    assert "at a cost of 10 core-seconds" in card
    assert "bought for" in card


def test_a_release_at_an_address_is_read_by_stock_zarr() -> None:
    frames = few_frames(6)
    write_release(frames, "memory://release-a")
    from fsspec.core import url_to_fs

    memory, place = url_to_fs("memory://release-a")
    assert memory.exists(f"{place}/SHA256SUMS")
    group = zarr.open_group("memory://release-a/frames.zarr", mode="r")
    energies = group["energy"]
    assert isinstance(energies, zarr.Array)
    assert np.array_equal(energies[...], frames.energy_F)
    with pytest.raises(InputError, match="holds a release already"):
        write_release(frames, "memory://release-a")
    if importlib.util.find_spec("s3fs") is None:
        with pytest.raises(MissingProgram, match="s3fs"):
            write_release(frames, "s3://bucket/release")
    with pytest.raises(InputError, match="nonsense"):
        write_release(frames, "nonsense://release")


@pytest.mark.parametrize("name", [name for name, each in FORMATS.items() if each.write])
def test_where_nothing_can_be_written_is_said(name: str, tmp_path: Path) -> None:
    writer = FORMATS[name].write
    assert writer
    with pytest.raises(InputError, match="nowhere"):
        writer(few_frames(1), tmp_path / "nowhere" / "out", lambda _: None)


@pytest.mark.parametrize(
    ("name", "library"),
    [("hdf5", "h5py"), ("lmdb", "lmdb"), ("ase", "ase.db"), ("pyg", "torch")],
)
def test_a_library_that_is_absent_is_named(
    name: str, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = FORMATS[name].write
    assert writer
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingProgram, match=r"pip install 'forgefield\[formats\]'"):
        writer(few_frames(1), tmp_path / "out", lambda _: None)
    assert list(tmp_path.iterdir()) == []


def test_reading_without_ase_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_extended_xyz(few_frames(1), tmp_path / "out.xyz")
    monkeypatch.setitem(sys.modules, "ase.io.extxyz", None)
    with pytest.raises(MissingProgram, match="ase"):
        read_extended_xyz(tmp_path / "out.xyz")


def test_formats_without_room_for_it_refuse() -> None:
    frames = mixed()
    with pytest.raises(InputError, match="no periodic boxes"):
        write_sgdml(frames.select(np.array([3, 4])), "out.npz")
    with pytest.raises(InputError, match=r"Choose from CC-BY-4\.0"):
        ReleaseTerms(licence="mine")
    with pytest.raises(InputError, match="--format"):
        writer_of("out.dat", None)
    with pytest.raises(InputError, match="'lmdb' is no format"):
        reader_of(Path("out.lmdb"), "lmdb")
