"""Damage to any chunk of any array is found and named, by loading and by verifying."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr

from forgefield.storage.errors import StorageError
from forgefield.storage.formats.release import write_release
from forgefield.storage.frame_store import FrameStore, columns, load_frames, verify_store
from forgefield.storage.records import Label, Purpose
from forgefield.storage.settled_frames import StoredFrame
from forgefield.storage.testing import labelled, make_job

Harm = Callable[[Path], object]


def frames(first: int, count: int) -> list[StoredFrame]:
    made = []
    for seq in range(first, first + count):
        job = make_job(seq)
        result = labelled(job).result
        assert isinstance(result, Label)
        made.append(StoredFrame(seq, job, result, 7))
    return made


@pytest.fixture
def grown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Thirty frames in several chunks, one withdrawn, a column added."""
    monkeypatch.setattr(columns, "FRAMES_A_CHUNK", 8)
    monkeypatch.setattr(columns, "ATOMS_A_CHUNK", 50)
    with FrameStore.open_for_writing(tmp_path / "grown.zarr") as small:
        for start in range(1, 31, 10):
            small.append(frames(start, 10))
        small.withdraw({31: 4})
        small.add_column("bias", np.linspace(0, 1, 31), "eV/angstrom")
        assert verify_store(small.path) == []
        assert len(load_frames(small.path)) == 29
        return small.path


def flip(chunk: Path) -> None:
    content = bytearray(chunk.read_bytes())
    content[len(content) // 3] ^= 16
    chunk.write_bytes(content)


def truncate(chunk: Path) -> None:
    chunk.write_bytes(chunk.read_bytes()[:-7])


def empty(chunk: Path) -> None:
    chunk.write_bytes(b"")


def every_chunk(path: Path) -> list[Path]:
    return sorted(entry for entry in path.rglob("c/**/*") if entry.is_file())


@pytest.mark.parametrize("harm", [flip, truncate, empty, Path.unlink])
def test_damage_to_any_chunk_of_any_array_is_named(grown: Path, harm: Harm) -> None:
    chunks = every_chunk(grown)
    arrays = {chunk.relative_to(grown).parts[0] for chunk in chunks}
    assert {column.name for column in columns.COLUMNS} < arrays
    assert {"withdraws", "added_bias", "diagnostic_gap_eV"} < arrays
    for chunk in chunks:
        whole, key = chunk.read_bytes(), chunk.relative_to(grown).as_posix()
        harm(chunk)
        with pytest.raises(StorageError, match=f"damaged: the chunk {key} .*frames"):
            load_frames(grown, tuple(Purpose))
        found = verify_store(grown)
        assert [line for line in found if key in line] == found
        assert len(found) == 1
        chunk.write_bytes(whole)
    assert verify_store(grown) == []


def test_the_frames_of_a_damaged_chunk_are_told(grown: Path) -> None:
    ptr = np.asarray(zarr.open_array(grown / "ptr", mode="r")[...])
    owners = np.repeat(np.arange(31), np.diff(ptr))[50:100]
    flip(grown / "forces" / "c" / "1" / "0")
    flip(grown / "energy" / "c" / "3")
    by_name = sorted(verify_store(grown))
    assert f"(atom rows 50 to 99, frames {owners[0]} to {owners[-1]})" in by_name[1]
    assert "energy/c/3 (frames 24 to 30) is damaged: its checksum is wrong" in by_name[0]


def test_a_damaged_tail_is_not_built_upon(grown: Path) -> None:
    flip(grown / "energy" / "c" / "3")
    before = (grown / "zarr.json").read_bytes()
    with FrameStore.open_for_writing(grown) as store:
        with pytest.raises(StorageError, match=r"energy/c/3 is damaged.*Restore"):
            store.append(frames(32, 2))
        assert len(store) == 31
    assert (grown / "zarr.json").read_bytes() == before


def test_any_flipped_bit_of_the_root_is_noticed(grown: Path) -> None:
    root = grown / "zarr.json"
    whole = root.read_bytes()
    dice = np.random.default_rng(0)
    for place in dice.integers(0, len(whole), 60):
        content = bytearray(whole)
        content[place] ^= 1 << int(dice.integers(0, 7))
        try:
            same = json.loads(content) == json.loads(whole)
        except ValueError:
            same = False
        root.write_bytes(content)
        assert bool(verify_store(grown)) != same
        if not same:
            with pytest.raises(StorageError):
                load_frames(grown)
    root.write_bytes(whole)
    assert len(load_frames(grown)) == 29


def test_metadata_of_an_array_that_differ_are_named(grown: Path) -> None:
    place = grown / "charge" / "zarr.json"
    document = json.loads(place.read_bytes())
    place.write_text(json.dumps(document | {"shape": [5]}))
    (found,) = verify_store(grown)
    assert found == "the metadata charge/zarr.json differ from the committed ones in zarr.json"
    with FrameStore.open_for_writing(grown):
        pass
    assert verify_store(grown) == []
    place.unlink()
    assert "charge/zarr.json can't be read" in verify_store(grown)[0]


def test_no_store_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no frame store"):
        verify_store(tmp_path / "absent")


def test_a_store_of_before_gets_its_missing_chunks(grown: Path) -> None:
    """Older programs left out chunks of nothing but fill values, and wrote no checksum."""
    root = json.loads((grown / "zarr.json").read_bytes())
    for name in ("every_chunk_is_stored", "crc32c"):
        root["attributes"]["forgefield"].pop(name)
    (grown / "zarr.json").write_text(json.dumps(root))
    (grown / "charge" / "c" / "1").unlink()
    assert len(load_frames(grown)) == 29
    assert verify_store(grown) == []
    with FrameStore.open_for_writing(grown) as store:
        store.append(frames(40, 1))
    assert verify_store(grown) == []
    assert np.all(load_frames(grown).charge_F == 0)
    assert (grown / "charge" / "c" / "1").exists()


def test_damage_to_a_release_is_named(grown: Path, tmp_path: Path) -> None:
    frames = load_frames(grown)
    write_release(frames, tmp_path / "release")
    store = tmp_path / "release" / "frames.zarr"
    assert verify_store(store) == []
    np.testing.assert_array_equal(load_frames(store).forces_A3, frames.forces_A3)
    shard = store / "forces" / "c" / "0" / "0"
    whole = shard.read_bytes()
    for place, reason in ((20, "its checksum is wrong"), (-9, "the index of its shard is wrong")):
        content = bytearray(whole)
        content[place] ^= 1
        shard.write_bytes(content)
        (found,) = verify_store(store)
        assert found.startswith("the chunk forces/c/0/0 (atom rows 0 to ")
        assert reason in found
        with pytest.raises(StorageError, match=reason):
            load_frames(store)
    shard.write_bytes(whole[:3])
    assert "the index of its shard is wrong" in verify_store(store)[0]
