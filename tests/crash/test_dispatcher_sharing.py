"""The dispatcher and the label book, with real Ray and a second run that buys at the same time."""

import threading
from collections import deque
from typing import Any

import pytest

from forgefield.platform.book_places import BookPlace
from forgefield.platform.buying.asking import Order
from forgefield.platform.buying.ledger_service import LedgerClient
from forgefield.platform.buying.slots import NUMBERS
from forgefield.platform.screen.label_progress import LabelProgress
from forgefield.storage.label_book import LabelBook, Run
from forgefield.storage.ledger import Ledger
from forgefield.storage.ledger.entries import State
from forgefield.storage.records import Configuration, Job, Label, Purpose, Tier
from forgefield.storage.run_lock import RunLock
from forgefield.storage.settled_frames import StoredFrame
from forgefield.storage.testing import CCSD, labelled, make_job
from forgefield.storage.units import to_micro


def toys(*scripts: str) -> list[Job]:
    shapes = [make_job(n).configuration for n in range(len(scripts))]
    return [
        Job(Configuration(s, c.numbers, c.positions_A3), CCSD, Purpose.TRAIN)
        for s, c in zip(scripts, shapes, strict=True)
    ]


def share(desk: Any) -> str:
    """Give the desk's run a label book; where it is."""
    desk.clients.pop().stop()
    book = BookPlace(str(desk.folder / "labels.sqlite"), desk.folder, 0.1, required=True)
    url, name = f"sqlite:///{desk.folder}/ledger.sqlite", f"ledger {next(NUMBERS)}"
    frames, spool = desk.folder / "frames.zarr", desk.folder / "spool"
    desk.clients.append(LedgerClient(url, frames, spool, name, book))
    desk.clients[-1].open()
    return book.place


@pytest.mark.parametrize("fails", [False, True])
def test_what_another_run_is_buying_is_waited_for(desk: Any, fails: bool) -> None:
    """It comes at no cost, or is bought here where the other one failed."""
    jobs = toys("label 0.3", "label 0.3", "raise BadConfiguration", "label 0.3")
    place, other = share(desk), desk.folder / "other"
    with RunLock(other), LabelBook(place, Run.here("o" * 32, other)) as book:
        book.claim(jobs[:2])
        told = threading.Event()

        def watch(progress: LabelProgress) -> None:
            if progress.waiting == "waiting for run other to finish 2 labels":
                told.set()

        def finish() -> None:
            told.wait(timeout=240)
            if fails:
                book.release()
                return
            for seq, job in enumerate(jobs[:2]):
                label = labelled(job).result
                assert isinstance(label, Label)
                book.publish([StoredFrame(seq, job, label, to_micro(50))])

        later = threading.Thread(target=finish)
        later.start()
        dispatcher = desk.dispatcher(1000, 2, watch, wave=9)
        dispatcher.buy([Order(deque(jobs), len(jobs), Tier.CCSD, 0.3)])
        later.join()
        assert told.is_set(), "people see whom the run waits for"
        books = desk.audit(jobs)
        assert books.states == [State.DONE, State.DONE, State.FAILED, State.DONE]
        with Ledger(f"sqlite:///{desk.folder}/ledger.sqlite", read_only=True) as ledger:
            (row,) = ledger.tally()
        assert (row.done, row.adopted) == (3, 0 if fails else 2)
        assert len(book.claim([jobs[3]]).found) == 1, "and what it bought is shared"
        assert book.claim([jobs[2]]).granted, "what failed is left to others"
