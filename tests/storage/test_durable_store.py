"""What a power cut could undo is told by the order of fsync and rename, which is recorded here."""

import os
from pathlib import Path

import pytest

from forgefield.storage.frame_store import FrameStore
from forgefield.storage.frame_store.durable_store import DurableStore
from forgefield.storage.records import Label
from forgefield.storage.settled_frames import StoredFrame
from forgefield.storage.testing import labelled, make_job

Step = tuple[str, str]


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    """Every `sync` and `show` from now on, with the place seen from the test's folder."""
    seen: list[Step] = []
    fsync, replace = os.fsync, Path.replace

    def note(step: str, path: str | Path) -> None:
        seen.append((step, os.path.relpath(path, tmp_path)))

    def noted_fsync(file: int) -> None:
        fsync(file)
        note("sync", Path(f"/proc/self/fd/{file}").readlink())

    def noted_replace(self: Path, target: Path) -> Path:
        note("show", target)
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    return seen


def test_nothing_shows_before_it_is_durable_nor_before_what_it_names(
    tmp_path: Path, steps: list[Step]
) -> None:
    store = DurableStore(tmp_path / "s")
    store.set_sync("a/c/0", b"chunk")
    store.barrier()
    store.set_sync("a/zarr.json", b"length")
    store.barrier()
    store.set_sync("zarr.json", b"root")
    assert not (tmp_path / "s" / "zarr.json").exists()
    store.flush()
    shown = [place for step, place in steps if step == "show"]
    assert shown == ["s/a/c/0", "s/a/zarr.json", "s/zarr.json"]
    first = steps.index(("show", "s/a/c/0"))
    assert sum(place.endswith(".partial") for _, place in steps[:first]) == 3
    second, third = steps.index(("show", "s/a/zarr.json")), steps.index(("show", "s/zarr.json"))
    assert {("sync", "s/a/c"), ("sync", "s/a"), ("sync", "s"), ("sync", ".")} <= set(
        steps[first:second]
    )
    assert ("sync", "s/a") in steps[second:third]
    assert ("sync", "s") in steps[third:]


def test_every_append_is_durable_when_it_returns(tmp_path: Path, steps: list[Step]) -> None:
    with FrameStore.open_for_writing(tmp_path / "frames.zarr") as store:
        for seq in (1, 2):
            job = make_job(seq)
            label = labelled(job).result
            assert isinstance(label, Label)
            steps.clear()
            store.append([StoredFrame(seq, job, label, 7)])
            shown = [Path(place) for step, place in steps if step == "show"]
            assert shown[-1] == Path("frames.zarr/zarr.json")
            last = {place: n for n, (step, place) in enumerate(steps) if step == "show"}
            for place in shown:
                folder = ("sync", str(place.parent))
                assert folder in steps[last[str(place)] :], place
            chunks = [n for n, place in enumerate(shown) if "c" in place.parts]
            assert chunks == list(range(len(chunks)))


def test_what_is_discarded_leaves_nothing(tmp_path: Path) -> None:
    store = DurableStore(tmp_path)
    store.set_sync("a/0", b"old")
    store.flush()
    store.set_sync("a/0", b"new")
    store.barrier()
    store.set_sync("b", b"new")
    store.discard()
    store.flush()
    assert (tmp_path / "a" / "0").read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.rglob("*") if entry.is_file()] == ["0"]


def test_the_last_of_several_writes_of_a_key_counts(tmp_path: Path) -> None:
    store = DurableStore(tmp_path)
    store.set_sync("a", b"first")
    store.set_sync("a", b"second")
    store.flush()
    assert (tmp_path / "a").read_bytes() == b"second"
    assert len(list(tmp_path.iterdir())) == 1
