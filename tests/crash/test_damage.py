"""Bytes that rot: each is found, named, and harmless to all that is still whole."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from forgefield.storage.errors import StorageError
from forgefield.storage.frame_store import FrameStore, load_frames
from forgefield.storage.frame_store.verifying import verify_store
from forgefield.storage.ledger import Ledger, State
from forgefield.storage.ledger.packing import pack
from forgefield.storage.ledger.recovery import Recovery, recover
from forgefield.storage.ledger.spool import write_spool
from forgefield.storage.testing import labelled, make_jobs

Harm = Callable[[Path], None]
ARRAYS = ("positions", "energy", "ptr", "key")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with 2000 frames, in two chunks where an array goes by frames."""
    with Ledger(url(tmp_path)) as ledger:
        ledger.set_cap(10**9, "test")
        settle(ledger, 0, 2000)
        with FrameStore.open_for_writing(tmp_path / "frames.zarr") as store:
            pack(ledger, store)
    return tmp_path


def url(folder: Path) -> str:
    return f"sqlite:///{folder}/ledger.sqlite"


def settle(ledger: Ledger, first: int, count: int) -> None:
    jobs = make_jobs(first, count)
    ledger.settle(ledger.reserve(jobs, 10**6), [labelled(job) for job in jobs], 10**6)


@pytest.fixture
def copy(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What a backup would hold; each test ends with it put back and all well again."""
    kept = tmp_path_factory.mktemp("copy")
    shutil.copytree(run, kept, dirs_exist_ok=True)
    yield kept
    shutil.rmtree(run)
    shutil.copytree(kept, run)
    assert verify_store(run / "frames.zarr") == []
    with Ledger(url(run)) as ledger, FrameStore.open_for_writing(run / "frames.zarr") as store:
        settle(ledger, 5000, 10)
        pack(ledger, store)
        assert ledger.verify(store.path) == []
    assert len(load_frames(run / "frames.zarr")) == 2010


def flip_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("harm", [flip_bit, cut, Path.unlink])
@pytest.mark.usefixtures("copy")
def test_a_damaged_chunk_is_named(run: Path, name: str, harm: Harm) -> None:
    chunk = max(path for path in (run / "frames.zarr" / name / "c").rglob("*") if path.is_file())
    place = str(chunk.relative_to(run / "frames.zarr"))
    harm(chunk)
    with pytest.raises(StorageError, match=f"'{name}'.*{place}.*frames .* to .*[Rr]estore"):
        load_frames(run / "frames.zarr")
    assert any(place in line for line in verify_store(run / "frames.zarr"))


@pytest.mark.parametrize("harm", [flip_bit, cut])
@pytest.mark.usefixtures("copy")
def test_a_damaged_root_is_refused_and_left_as_it_is(run: Path, harm: Harm) -> None:
    root = run / "frames.zarr" / "zarr.json"
    harm(root)
    found = root.read_bytes()
    with pytest.raises(StorageError, match=r"zarr\.json|frame store"):
        FrameStore.open_for_writing(run / "frames.zarr")
    with pytest.raises(StorageError):
        load_frames(run / "frames.zarr")
    assert root.read_bytes() == found
    assert (run / "frames.zarr" / "positions" / "c").is_dir()


@pytest.mark.usefixtures("copy")
def test_a_damaged_page_of_the_ledger_is_refused(run: Path) -> None:
    path = run / "ledger.sqlite"
    with path.open("r+b") as file:
        for page in range(1, path.stat().st_size // 4096):
            file.seek(4096 * page)
            file.write(b"\xff" * 64)
    with pytest.raises(StorageError, match=r"could not be used|malformed"), Ledger(url(run)) as it:
        it.verify(run / "frames.zarr")
    assert len(load_frames(run / "frames.zarr")) == 2000


@pytest.mark.parametrize("harm", [flip_bit, cut])
@pytest.mark.usefixtures("copy")
def test_a_damaged_spool_is_set_aside_and_its_work_done_again(run: Path, harm: Harm) -> None:
    jobs = make_jobs(3000, 3)
    with Ledger(url(run)) as ledger, FrameStore.open_for_writing(run / "frames.zarr") as store:
        reservation = ledger.reserve(jobs, 100)
        write_spool(run / "spool", reservation, [labelled(job) for job in jobs], 50)
        (spooled,) = (run / "spool").iterdir()
        harm(spooled)
        assert recover(ledger, store, run / "spool") == Recovery(0, 1, 0, set_aside=1)
        assert [path.name for path in (run / "spool").iterdir()] == [f"{spooled.name}.damaged"]
        assert {job.key() for job in ledger.jobs(State.FAILED)} == {job.key() for job in jobs}
        settle(ledger, 3000, 3)
        assert ledger.verify(store.path) == []
