"""Frames are whole, ordered and readable by anyone, whatever happens to the writer."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorstore
import xarray
import zarr

from forgefield.storage.errors import RunBusy, StorageError
from forgefield.storage.frame_store import FrameStore, columns, dataset_version, load_frames
from forgefield.storage.frame_store.durable_store import DurableStore
from forgefield.storage.frames import Frames
from forgefield.storage.records import Label, Purpose, Tier
from forgefield.storage.settled_frames import StoredFrame, from_stored
from forgefield.storage.testing import CCSD, XTB, expected_energy, labelled, make_job

PURPOSES = tuple(Purpose)


def stored(first: int, count: int) -> list[StoredFrame]:
    """Frames of three species, two methods and all purposes; every fifth without forces."""
    frames = []
    for seq in range(first, first + count):
        job = make_job(seq, (XTB, CCSD)[seq % 2], PURPOSES[seq % 4])
        result = labelled(job, energy_only=seq % 5 == 0).result
        assert isinstance(result, Label)
        frames.append(StoredFrame(seq, job, result, 1_000_001 * seq))
    return frames


def assert_same(left: Frames, right: Frames) -> None:
    for name in ("ptr", "numbers", "purpose_F", "charge_F", "seq_F", "key_F", "geometry_F"):
        assert np.array_equal(getattr(left, name), getattr(right, name)), name
    for name in ("positions_A3", "forces_A3", "energy_F", "cost_F", "wall_F"):
        assert np.array_equal(getattr(left, name), getattr(right, name), equal_nan=True), name
    for name in ("t1", "gap_eV"):
        assert np.array_equal(left.diagnostic(name), right.diagnostic(name), equal_nan=True), name
    assert [left.methods[m] for m in left.method_F] == [right.methods[m] for m in right.method_F]
    ours, theirs = left.provenance, right.provenance
    assert [ours.programs[p] for p in ours.program_F] == [
        theirs.programs[p] for p in theirs.program_F
    ]
    assert [ours.hosts[h] for h in ours.host_F] == [theirs.hosts[h] for h in theirs.host_F]


def everything(path: Path) -> Frames:
    return load_frames(path, PURPOSES)


def test_frames_come_back_as_they_went_in(store: FrameStore) -> None:
    frames = stored(1, 40)
    for part in (frames[:1], frames[1:7], [], frames[7:]):
        store.append(part)
    assert len(store) == 40
    assert_same(everything(store.path), from_stored(frames))


def test_chunks_fill_up_over_many_appends(
    store: FrameStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(columns, "FRAMES_A_CHUNK", 7)
    monkeypatch.setattr(columns, "ATOMS_A_CHUNK", 11)
    frames = stored(1, 30)
    with FrameStore.open_for_writing(tmp_path / "small.zarr") as small:
        for start in range(0, 30, 4):
            small.append(frames[start : start + 4])
    assert len(list((tmp_path / "small.zarr" / "energy" / "c").iterdir())) == 5
    assert_same(everything(tmp_path / "small.zarr"), from_stored(frames))
    store.append(frames)
    assert store.version().hash == dataset_version(tmp_path / "small.zarr").hash


def test_the_hold_out_must_be_asked_for_by_name(store: FrameStore) -> None:
    store.append(stored(1, 20))
    usual = load_frames(store.path)
    assert len(usual) == 15
    assert Purpose.HOLDOUT not in usual.purpose_F
    only = load_frames(store.path, [Purpose.HOLDOUT])
    assert set(only.purpose_F) == {Purpose.HOLDOUT}
    assert len(only) == 5


def test_an_older_version_stays_the_same(store: FrameStore) -> None:
    store.append(stored(1, 5))
    old = store.version()
    store.append(stored(6, 5))
    assert store.version(5) == old
    assert store.version() != old
    assert store.version().frames == 10
    with pytest.raises(StorageError, match="10 frames, not 11"):
        store.version(11)


def test_the_second_writer_is_refused(store: FrameStore) -> None:
    with pytest.raises(RunBusy, match="process"):
        FrameStore.open_for_writing(store.path)
    store.close()
    FrameStore.open_for_writing(store.path).close()


class Died(Exception):
    """Stands for a kill: nothing runs after it."""


def crash_at(monkeypatch: pytest.MonkeyPatch, renames: int) -> list[int]:
    """From now on the writer dies at its rename number `renames`; a countdown of them."""
    left = [renames]
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if left[0] == 0:
            raise Died
        left[0] -= 1
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    return left


def renames_of_append(path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """How often the append of the crash test below renames a file."""
    frames = stored(1, 30)
    with FrameStore.open_for_writing(path) as store, monkeypatch.context() as patch:
        store.append(frames[0:10:2])
        left = crash_at(patch, 10_000)
        store.append(frames[10:])
    return 10_000 - left[0]


@pytest.mark.parametrize("part", [0.0, 0.02, 0.2, 0.4, 0.45, 0.5, 0.7, 0.9, 0.98, 1.0])
def test_a_crash_at_any_rename_keeps_the_committed_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: float
) -> None:
    last = renames_of_append(tmp_path / "whole.zarr", monkeypatch) - 1
    path, frames = tmp_path / "frames.zarr", stored(1, 30)
    store = FrameStore.open_for_writing(path)
    store.append(frames[0:10:2])
    committed = from_stored(frames[0:10:2])
    with monkeypatch.context() as patch:
        crash_at(patch, round(part * last))
        with pytest.raises(Died):
            store.append(frames[10:])
    assert_same(everything(path), committed)
    store._lock.release()
    with FrameStore.open_for_writing(path) as again:
        assert len(again) == 5
        assert not list(path.rglob("*.partial"))
        assert not (path / "energy" / "c" / "1").exists()
        for name, length in (("energy", 5), ("ptr", 6), ("positions", int(committed.ptr[-1]))):
            assert zarr.open_array(path / name, mode="r").shape[0] == length
        again.append(frames[10:13])
        assert_same(everything(path), from_stored(frames[0:10:2] + frames[10:13]))


@pytest.mark.parametrize("renames", [0, 1, 5, 19])
def test_a_crash_while_creating_leaves_nothing_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    with monkeypatch.context() as patch:
        crash_at(patch, renames)
        with pytest.raises(Died):
            FrameStore.open_for_writing(tmp_path / "frames.zarr")
    with FrameStore.open_for_writing(tmp_path / "frames.zarr") as store:
        store.append(stored(1, 2))
        assert len(everything(store.path)) == 2


def test_a_full_disk_is_reported_and_nothing_is_lost(
    store: FrameStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append(stored(1, 3))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(DurableStore, "flush", full)
        with pytest.raises(StorageError, match="Free some space"):
            store.append(stored(4, 3))
    store.append(stored(4, 3))
    assert_same(everything(store.path), from_stored(stored(1, 6)))


def test_a_flipped_bit_is_found_and_named(store: FrameStore) -> None:
    store.append(stored(1, 3))
    chunk = store.path / "energy" / "c" / "0"
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)
    with pytest.raises(StorageError, match=r"'energy'.*damaged"):
        everything(store.path)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("precious")
    with pytest.raises(StorageError, match="no frame store"):
        FrameStore.open_for_writing(tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "precious"
    with pytest.raises(StorageError, match="no frame store"):
        load_frames(tmp_path / "absent")


def test_stock_zarr_keeps_its_snapshot_while_the_store_grows(store: FrameStore) -> None:
    store.append(stored(1, 9))
    group = zarr.open_group(store.path, mode="r")
    store.append(stored(10, 9))
    assert group["energy"].shape == (9,)  # type: ignore[union-attr]
    expected = [expected_energy(f.job.configuration.positions_A3) for f in stored(1, 9)]
    assert np.array_equal(group["energy"][:], expected)  # type: ignore[index]
    later = zarr.open_group(store.path, mode="r")
    assert later["ptr"].shape == (19,)  # type: ignore[union-attr]
    assert later.attrs["forgefield"]["frames"] == 18  # type: ignore[index,call-overload]


def test_xarray_opens_it_while_it_grows(store: FrameStore) -> None:
    store.append(stored(1, 9))
    with xarray.open_zarr(store.path, chunks=None) as dataset:
        store.append(stored(10, 9))
        assert dict(dataset.sizes) == {
            "frame": 9,
            "edge": 10,
            "atom": int(dataset.ptr[-1]),
            "xyz": 3,
            "byte": 16,
        }
        first = dataset.positions[: int(dataset.ptr[1])].values
        assert np.array_equal(first, stored(1, 1)[0].job.configuration.positions_A3)
        assert dataset.energy.attrs["units"] == "eV"
        assert dataset.seq.values.tolist() == list(range(1, 10))


def test_tensorstore_reads_whole_frames_up_to_ptr(store: FrameStore) -> None:
    store.append(stored(1, 9))

    def read(name: str) -> np.ndarray:
        place = {"driver": "file", "path": str(store.path / name)}
        array = tensorstore.open({"driver": "zarr3", "kvstore": place}, read=True).result()
        return np.asarray(array.read().result())

    ptr = read("ptr")
    store.append(stored(10, 9))
    positions, energy = read("positions"), read("energy")
    for frame in range(len(ptr) - 1):
        atoms = positions[ptr[frame] : ptr[frame + 1]]
        assert energy[frame] == expected_energy(atoms)


def test_frames_select_and_join() -> None:
    frames = from_stored(stored(1, 12))
    odd = frames.of_tier(Tier.CCSD)
    assert odd.seq_F.tolist() == [1, 3, 5, 7, 9, 11]
    back = Frames.concatenate([frames.select(np.arange(6, 12)), frames.select(np.arange(6))])
    order = np.argsort(back.seq_F)
    assert_same(back.select(order), frames)
    picked = frames.select(np.array([7, 2]))
    assert np.array_equal(picked.numbers[picked.atoms_of(1)], frames.numbers[frames.atoms_of(2)])
    assert len(frames.select(np.zeros(12, dtype=bool))) == 0
    assert len(Frames.concatenate([])) == 0
    assert frames.of_purpose(Purpose.TRAIN, Purpose.VALIDATION).seq_F.tolist() == [
        1, 2, 5, 6, 9, 10,
    ]  # fmt: skip


def test_a_store_moved_elsewhere_is_the_same(store: FrameStore, tmp_path: Path) -> None:
    store.append(stored(1, 4))
    shutil.copytree(store.path, tmp_path / "copy.zarr")
    assert dataset_version(tmp_path / "copy.zarr") == store.version()
