"""A run that died with labels in hand: whoever takes its claims over finds and doesn't buy them."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from shutil import rmtree

import numpy as np
import pytest

from forgefield.storage.frame_store import FrameStore
from forgefield.storage.label_book import LabelBook, Run
from forgefield.storage.label_book.reconciling import Holdings, reconcile
from forgefield.storage.ledger import Ledger
from forgefield.storage.ledger.recovery import recover
from forgefield.storage.ledger.spool import write_spool
from forgefield.storage.records import Job
from forgefield.storage.run_lock import RunLock
from forgefield.storage.testing import CCSD, expected_energy, labelled, make_jobs
from forgefield.storage.units import to_micro

JOBS = make_jobs(0, 3, CCSD)
SETTLED, SPOOLED, LOST = JOBS


class Died:
    """A run killed with three claimed jobs: one settled, one spooled, one only begun."""

    def __init__(self, folder: Path, place: str) -> None:
        folder.mkdir()
        self.folder, self.place = folder, place
        self.url, self.spool = f"sqlite:///{folder}/ledger.sqlite", folder / "spool"
        self.run = Run.here("d" * 32, folder, self.url, str(self.spool))
        with RunLock(folder), Ledger(self.url) as ledger, LabelBook(place, self.run) as book:
            ledger.set_cap(to_micro(1000), "test")
            assert len(book.claim(JOBS).granted) == 3
            numbers = [ledger.reserve([job], to_micro(9)) for job in JOBS]
            ledger.settle(numbers[0], [labelled(SETTLED)], to_micro(3))
            write_spool(self.spool, numbers[1], [labelled(SPOOLED)], to_micro(4))

    def restarted(self) -> tuple[int, int]:
        """Recovery and reconciliation; labels paid for, and labels published late."""
        with (
            RunLock(self.folder),
            Ledger(self.url) as ledger,
            FrameStore.open_for_writing(self.folder / "frames.zarr") as store,
            LabelBook(self.place, self.run) as book,
        ):
            recover(ledger, store, self.spool)
            mended = reconcile(book, Holdings.of(ledger, store.path))
            (row,) = ledger.tally()
            return row.done - row.adopted, mended.published


@pytest.fixture
def died(tmp_path: Path, place: str) -> Died:
    return Died(tmp_path / "died", place)


@pytest.fixture
def heir(tmp_path: Path, place: str) -> Iterator[LabelBook]:
    folder = tmp_path / "heir"
    folder.mkdir()
    with ExitStack() as stack:
        stack.enter_context(RunLock(folder))
        yield stack.enter_context(LabelBook(place, Run.here("h" * 32, folder)))


def names(jobs: tuple[Job, ...]) -> list[str]:
    return sorted(job.key() for job in jobs)


def test_settled_and_spooled_labels_are_found_and_the_lost_one_is_granted(
    died: Died, heir: LabelBook
) -> None:
    claims = heir.claim(JOBS)
    assert names(tuple(found.job for found in claims.found)) == names((SETTLED, SPOOLED))
    assert names(claims.granted) == [LOST.key()]
    assert {found.source_run for found in claims.found} == {died.run.id}
    costs = {found.job.key(): found.cost_micro for found in claims.found}
    assert costs == {SETTLED.key(): to_micro(3), SPOOLED.key(): to_micro(4)}
    for found in claims.found:
        energy = expected_energy(found.job.configuration.positions_A3)
        np.testing.assert_allclose(found.label.energy, energy)


def test_the_dead_run_comes_back_and_nothing_was_paid_twice(died: Died, heir: LabelBook) -> None:
    heir.claim(JOBS)
    assert died.restarted() == (2, 0)
    assert len(heir.find(JOBS)) == 2
    assert len(heir.claim(JOBS).granted) == 1


def test_the_dead_run_comes_back_first(died: Died, heir: LabelBook) -> None:
    assert died.restarted() == (2, 2)
    claims = heir.claim(JOBS)
    assert (len(claims.found), len(claims.granted)) == (2, 1)


def test_a_run_whose_folder_is_gone_leaves_nothing(died: Died, heir: LabelBook) -> None:
    rmtree(died.folder)
    assert len(heir.claim(JOBS).granted) == 3


def test_a_damaged_spool_and_ledger_leave_nothing(died: Died, heir: LabelBook) -> None:
    for path in died.spool.glob("*.spool.json"):
        path.write_text("{")
    (died.folder / "ledger.sqlite").write_bytes(b"nonsense" * 1000)
    assert len(heir.claim(JOBS).granted) == 3
