"""What comes to a frame store after its labels: withdrawals, added columns, periodic boxes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr

from forgefield.storage.errors import InputError, StorageError
from forgefield.storage.frame_store import FrameStore, dataset_version, durable_store, load_frames
from forgefield.storage.records import Array, Configuration, Job, Label, Purpose
from forgefield.storage.settled_frames import StoredFrame
from forgefield.storage.testing import XTB, labelled, make_job

BOX = np.diag([10.0, 11.0, 0.0])
STRESS = np.arange(9.0).reshape(3, 3)


def frame(seq: int, cell: Array | None = None) -> StoredFrame:
    job = make_job(seq)
    if cell is not None:
        job = replace(job, configuration=replace(job.configuration, cell_33=cell))
    label = labelled(job).result
    assert isinstance(label, Label)
    return StoredFrame(seq, job, replace(label, stress_33=None if cell is None else STRESS), 7)


@pytest.fixture
def filled(store: FrameStore) -> FrameStore:
    store.append([frame(seq) for seq in range(1, 11)])
    return store


def test_withdrawn_frames_are_left_out_from_then_on(filled: FrameStore) -> None:
    before = filled.version()
    filled.withdraw({11: 3, 12: 7})
    filled.append([frame(13)])
    assert load_frames(filled.path).seq_F.tolist() == [1, 2, 4, 5, 6, 8, 9, 10, 13]
    assert filled.rows()[0].tolist() == list(range(1, 14))
    assert filled.version(10) == before
    assert load_frames(filled.path, version=10).seq_F.tolist() == list(range(1, 11))
    assert load_frames(filled.path, version=11).seq_F.tolist() == [1, 2, 4, 5, 6, 7, 8, 9, 10]
    assert filled.version().hash != before.hash


def test_a_withdrawal_has_no_atoms_and_names_its_frame(filled: FrameStore) -> None:
    filled.withdraw({11: 3})
    group = zarr.open_group(filled.path, mode="r")
    ptr, withdraws = np.asarray(group["ptr"]), np.asarray(group["withdraws"])
    assert ptr[11] == ptr[10]
    assert withdraws.tolist() == [-1] * 10 + [3]
    assert np.isnan(np.asarray(group["energy"])[10])
    np.testing.assert_array_equal(np.asarray(group["key"])[10], np.asarray(group["key"])[2])


def test_withdrawing_a_stranger_is_refused(filled: FrameStore) -> None:
    with pytest.raises(StorageError, match="no frame 99"):
        filled.withdraw({11: 99})
    filled.withdraw({})
    assert len(filled) == 10


def test_columns_by_frame_and_by_atom_come_later(filled: FrameStore, tmp_path: Path) -> None:
    before = filled.version()
    frames = load_frames(filled.path)
    bias = np.linspace(0, 1, 10)
    spread = np.abs(frames.forces_A3) + 1
    filled.add_column("bias", bias, "eV/angstrom")
    filled.add_column("spread", spread, "eV/angstrom")
    filled.add_column("round_of", np.arange(10), "round")
    assert filled.version() == before
    filled.append([frame(11)])
    filled.close()
    with FrameStore.open_for_writing(filled.path) as again:
        again.append([frame(12)])
    found = load_frames(tmp_path / "frames.zarr")
    np.testing.assert_array_equal(found.added_F["bias"][:10], bias)
    assert np.isnan(found.added_F["bias"][10:]).all()
    assert found.added_F["round_of"].tolist() == [*range(10), -1, -1]
    np.testing.assert_array_equal(found.added_A["spread"][: len(spread)], spread)
    assert np.isnan(found.added_A["spread"][len(spread) :]).all()
    assert found.select(np.array([4])).added_F["bias"].tolist() == [bias[4]]
    units = zarr.open_group(filled.path, mode="r")["added_bias"].attrs["units"]
    assert units == "eV/angstrom"


def test_a_column_is_filled_once_and_never_changed(filled: FrameStore) -> None:
    half = np.array([1.0, 2.0, 3.0] + [np.nan] * 7)
    filled.add_column("bias", half, "eV/angstrom")
    whole = np.arange(1.0, 11.0)
    filled.add_column("bias", whole, "eV/angstrom")
    np.testing.assert_array_equal(load_frames(filled.path).added_F["bias"], whole)
    for wrong in (whole + 1, half, np.arange(1, 11), np.ones((10, 3))):
        with pytest.raises(InputError, match="Choose another name"):
            filled.add_column("bias", wrong, "eV/angstrom")
    np.testing.assert_array_equal(load_frames(filled.path).added_F["bias"], whole)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("bias", np.zeros(9)),
        ("bias", np.zeros((10, 2))),
        ("bias", np.array(["a"] * 10)),
        ("../bias", np.zeros(10)),
        ("", np.zeros(10)),
    ],
)
def test_bad_columns_are_refused(filled: FrameStore, name: str, values: Array) -> None:
    with pytest.raises(InputError, match=r"column"):
        filled.add_column(name, values, "")
    assert load_frames(filled.path).added_F == {}


def test_periodic_and_free_frames_live_together(store: FrameStore) -> None:
    store.append([frame(1), frame(2)])
    before = store.version(2)
    assert "cell" not in zarr.open_group(store.path, mode="r")
    store.append([frame(3, BOX), frame(4)])
    found = load_frames(store.path)
    assert np.isnan(found.cell_F33[[0, 1, 3]]).all()
    np.testing.assert_array_equal(found.cell_F33[2], BOX)
    np.testing.assert_array_equal(found.stress_F33[2], STRESS)
    assert store.version(2) == before
    assert dataset_version(store.path).frames == 4


def test_the_cell_is_part_of_the_geometry() -> None:
    shape = make_job(1).configuration
    boxed = replace(shape, cell_33=BOX)
    assert len({shape.key(), boxed.key(), replace(shape, cell_33=2 * BOX).key()}) == 3
    same = Configuration("other", shape.numbers, shape.positions_A3, cell_33=BOX.copy())
    assert same.key() == boxed.key()


def test_energy_only_and_several_methods_of_one_geometry(store: FrameStore) -> None:
    cheap = make_job(1)
    dear = Job(cheap.configuration, replace(XTB, name="GFN2-xTB, energy only"), Purpose.TRAIN)
    labels = [labelled(cheap).result, labelled(dear, energy_only=True).result]
    assert all(isinstance(label, Label) for label in labels)
    store.append(
        [
            StoredFrame(seq, job, label, 1)
            for seq, job, label in zip((1, 2), (cheap, dear), labels, strict=True)
            if isinstance(label, Label)
        ]
    )
    found = load_frames(store.path)
    np.testing.assert_array_equal(found.geometry_F[0], found.geometry_F[1])
    assert [method.name for method in found.methods] == ["GFN2-xTB", "GFN2-xTB, energy only"]
    assert np.isnan(found.forces_A3[found.atoms_of(1)]).all()
    assert np.isfinite(found.forces_A3[found.atoms_of(0)]).all()


def test_a_write_that_fails_behind_its_commit_is_caught_up_with(
    filled: FrameStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The root is renamed, then its folder can't be synced: the disk is ahead of the writer."""

    def fails(_: object) -> None:
        raise OSError(28, "No space left on device")

    whole = durable_store._sync_folders
    monkeypatch.setattr(
        durable_store,
        "_sync_folders",
        lambda paths: fails(paths) if list(paths) == [filled.path] else whole(paths),
    )
    with pytest.raises(StorageError, match="No space"):
        filled.append([frame(11), frame(12)])
    monkeypatch.setattr(durable_store, "_sync_folders", whole)
    assert filled.rows()[0].tolist() == list(range(1, 13))
    assert len(filled) == 12
    filled.append([frame(13)])
    assert load_frames(filled.path).seq_F.tolist() == list(range(1, 14))


def test_a_store_without_its_root_is_refused_and_left_alone(filled: FrameStore) -> None:
    filled.close()
    root = filled.path / "zarr.json"
    kept = root.read_bytes()
    root.unlink()
    with pytest.raises(StorageError, match=r"zarr.json is missing"):
        FrameStore.open_for_writing(filled.path)
    root.write_bytes(kept)
    with FrameStore.open_for_writing(filled.path) as again:
        assert len(again) == 10


def test_files_of_a_network_file_system_are_left_alone(filled: FrameStore) -> None:
    filled.close()
    (filled.path / "energy" / "c" / ".nfs0001").write_bytes(b"held by a reader")
    with FrameStore.open_for_writing(filled.path) as again:
        assert len(again) == 10


def test_large_integers_and_like_names_are_kept_apart(filled: FrameStore) -> None:
    filled.add_column("ids", np.arange(10) + 2**40, "")
    assert load_frames(filled.path).added_F["ids"].tolist() == [2**40 + n for n in range(10)]
    names = {"T1 max": 0.01, "T1_max": 0.9, "T1-max": 5.0}
    odd = frame(11)
    origin = replace(odd.label.provenance, diagnostics=names)
    filled.append([replace(odd, label=replace(odd.label, provenance=origin))])
    stored = load_frames(filled.path).provenance.diagnostics
    values = sorted(float(v[10]) for n, v in stored.items() if n.startswith("T1"))
    assert values == [0.01, 0.9, 5.0]
