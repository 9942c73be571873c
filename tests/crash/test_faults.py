"""Disks that are full or read-only, clocks that jump, and two who want the same run."""

# ruff: noqa: S311, S603 - dice choose the jumps, the program is our own

import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from crash.storage_worker import Plan, label
from crash.storm import storm_over

from forgefield.storage.errors import RunBusy, StorageError
from forgefield.storage.frame_store import FrameStore, load_frames
from forgefield.storage.frame_store.verifying import verify_store
from forgefield.storage.ledger import Ledger
from forgefield.storage.ledger.packing import pack
from forgefield.storage.ledger.spool import write_spool
from forgefield.storage.records import Purpose
from forgefield.storage.run_lock import RunLock
from forgefield.storage.testing import labelled, make_jobs

NOBODY = 65534


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """A disk without room: no file of this process may grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def read_only(*folders: Path) -> Iterator[None]:
    """Folders in which nothing can be made, for a user who is not root."""
    for folder in folders:
        folder.chmod(0o555)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(NOBODY)
        yield
    finally:
        if root:
            os.seteuid(0)
        for folder in folders:
            folder.chmod(0o777)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A run folder that any user may enter."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o777)
        yield Path(made)


def settle(ledger: Ledger, first: int, count: int) -> None:
    jobs = make_jobs(first, count)
    ledger.settle(ledger.reserve(jobs, 10**6), [labelled(job) for job in jobs], 10**6)


def goes_on(ledger: Ledger, store: FrameStore, first: int, frames: int) -> None:
    """Everything that was settled is there, and more can be."""
    assert ledger.verify(store.path) == []
    pack(ledger, store)
    settle(ledger, first, 10)
    pack(ledger, store)
    assert ledger.verify(store.path) == []
    assert verify_store(store.path) == []
    assert len(load_frames(store.path)) == frames + 10


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_a_store_that_cannot_be_written_loses_nothing(folder: Path, fault: str) -> None:
    frames = folder / "frames.zarr"
    with (
        Ledger(f"sqlite:///{folder}/ledger.sqlite") as ledger,
        FrameStore.open_for_writing(frames) as store,
    ):
        ledger.set_cap(10**9, "test")
        settle(ledger, 0, 500)
        pack(ledger, store)
        settle(ledger, 500, 1500)
        within = files_end_at(8192) if fault == "full" else read_only(*folders_in(frames))
        with within, pytest.raises(StorageError, match=r"could not be written.*space|permissions"):
            store.append(ledger.inbox())
        assert len(load_frames(frames)) == 500
        assert list(frames.rglob("*.partial")) == []
        goes_on(ledger, store, 3000, 2000)


def folders_in(path: Path) -> list[Path]:
    return [path, *(each for each in path.rglob("*") if each.is_dir())]


def test_a_ledger_on_a_full_disk_books_all_or_nothing(folder: Path) -> None:
    with (
        Ledger(f"sqlite:///{folder}/ledger.sqlite") as ledger,
        FrameStore.open_for_writing(folder / "frames.zarr") as store,
    ):
        ledger.set_cap(10**9, "test")
        settle(ledger, 0, 500)
        before = ledger.balance()
        size = (folder / "ledger.sqlite-wal").stat().st_size
        with files_end_at(size), pytest.raises(StorageError, match="free space"):
            settle(ledger, 500, 3000)
        after = ledger.balance()
        assert (after.spent_micro, after.cap_micro) == (before.spent_micro, before.cap_micro)
        for left in ledger.open_reservations():
            ledger.refund(left.id, "the disk was full")
        goes_on(ledger, store, 500, 500)


def test_a_spool_on_a_full_disk_is_whole_or_absent(folder: Path) -> None:
    outcomes = [labelled(job) for job in make_jobs(0, 50)]
    with files_end_at(4096), pytest.raises(OSError, match="File too large"):
        write_spool(folder, 1, outcomes, 10)
    assert list(folder.iterdir()) == []
    write_spool(folder, 1, outcomes, 10)
    assert [path.name for path in folder.iterdir()] == ["1.spool.json"]


def test_a_clock_that_jumps_by_years_changes_no_money(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, year = time.time, 3e7
    monkeypatch.setattr(time, "time", lambda: now() + random.uniform(-20 * year, 20 * year))
    with (
        Ledger(f"sqlite:///{tmp_path}/ledger.sqlite") as ledger,
        FrameStore.open_for_writing(tmp_path / "frames.zarr") as store,
    ):
        ledger.set_cap(10**9, "test")
        label(ledger, store, tmp_path / "spool", Plan(60, 3, tour=False))
        assert ledger.verify(store.path) == []
        opened = [entry.at for entry in ledger.entries()]
        assert opened != sorted(opened)
        assert len(load_frames(store.path, tuple(Purpose))) == 60
        assert ledger.balance().reserved_micro == 0


def test_a_second_driver_of_a_run_is_refused(tmp_path: Path) -> None:
    platform = Path(sys.executable).with_name("platform")
    words = ("plan", "-m", "methanol", "-b", "20ccsd", "--workdir", tmp_path)
    with RunLock(tmp_path):
        refused = subprocess.run(
            [platform, *words, "-o", tmp_path / "plan.json"],
            capture_output=True,
            text=True,
            check=False,
        )
    assert refused.returncode == RunBusy.exit_code == 5
    assert f"process {os.getpid()}" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_second_writer_of_a_store_is_refused(tmp_path: Path) -> None:
    with storm_over(tmp_path, f"sqlite:///{tmp_path}/ledger.sqlite") as storm:
        with (
            FrameStore.open_for_writing(tmp_path / "frames.zarr"),
            pytest.raises(AssertionError, match=f"RunBusy.*process {os.getpid()}"),
        ):
            storm.live(30, upto=3)
        storm.live(30, upto=3)
    assert len(load_frames(tmp_path / "frames.zarr", tuple(Purpose))) == 3
