"""A run's ledger beside the label book that it shares with other runs: found labels are booked.

Lives in the process that writes the ledger. Without a book everything is granted at once.
"""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from forgefield.platform.buying.book_places import BookPlace, place_of_run
from forgefield.platform.buying.saved_labels import Saved, count_saved, saved_labels
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.errors import InputError, StorageError
from forgefield.storage.label_book import Claims, Found, LabelBook, Run
from forgefield.storage.label_book.reconciling import Reconciled, reconcile
from forgefield.storage.ledger import Ledger
from forgefield.storage.records import Job
from forgefield.storage.units import from_micro

IDENTITY_FACT = "run identity"
CHECK_IN_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What the book says of jobs, by key: booked at no cost, to be bought, being bought elsewhere.

    `saved_micro` is what the found ones have cost where they were bought.
    """

    found: tuple[str, ...] = ()
    granted: tuple[str, ...] = ()
    busy: tuple[str, ...] = ()
    saved_micro: int = 0


@dataclass(frozen=True, slots=True)
class Known:
    """A label in the book that answers the job `key`: what it cost, and on which machine."""

    key: str
    core_seconds: float
    host: str
    threads: int
    own: bool


class SharedLabels:
    """The book as one run's ledger sees it."""

    def __init__(self, ledger: Ledger, frames: Path, place: BookPlace | None) -> None:
        self._ledger, self._frames, self._place = ledger, frames, place
        self._book: LabelBook | None = None
        self._claimed: set[str] = set()
        self._checked_in = time.monotonic()
        self._identity = ""
        self.trouble = ""

    def open(self) -> Reconciled | None:
        """Open the book and mend what an earlier driver left; `None` without one."""
        if self._place is None:
            return None
        self._identity = _identity(self._ledger)
        folder = RunFolder(self._place.folder)
        who = Run.here(self._identity, folder.root, folder.ledger_url, str(folder.spool))
        try:
            self._book = LabelBook(self._place.place, who, self._place.least_core_seconds)
        except (InputError, StorageError) as error:
            if self._place.required:
                raise
            self.trouble = str(error)
            return None
        return reconcile(self._book, self._ledger, self._frames)

    def ask(self, jobs: Sequence[Job], *, claim: bool) -> Asked:
        """Book what is found; with `claim`, what is granted is this run's to buy."""
        if self._book is None:
            return Asked(granted=tuple(job.key() for job in jobs))
        self.publish()
        claims = self._book.claim(jobs) if claim else self._book.look(jobs)
        self._book_found(self._book, claims.found)
        asked = _asked(claims)
        if claim:
            self._claimed.update(asked.granted)
        return asked

    def saved(self) -> Saved:
        """What the run found so far."""
        return saved_labels(self._ledger)

    def known(self, jobs: Sequence[Job]) -> tuple[Known, ...]:
        """Labels in the book that answer these jobs; nothing is booked."""
        found = () if self._book is None else self._book.find(jobs)
        return tuple(_known(each, self._identity) for each in found)

    def publish(self) -> None:
        """Share what was settled and is not packed yet."""
        if self._book is None:
            return
        dear = self._ledger.inbox_of(self._book.least_micro, self._claimed)
        self._book.publish(dear)
        self._claimed.difference_update(frame.job.key() for frame in dear)
        if time.monotonic() - self._checked_in > CHECK_IN_EVERY_S:
            self._checked_in = time.monotonic()
            self._book.check_in()

    def release(self, keys: Sequence[str] | None) -> None:
        """Leave jobs, by default all, to others."""
        if self._book is None:
            return
        self.publish()
        self._book.release(keys)
        self._claimed.difference_update(self._claimed if keys is None else keys)

    def _book_found(self, book: LabelBook, found: Sequence[Found]) -> None:
        """At no cost, each with the run it came from; jobs named twice are booked once."""
        once = {each.job.key(): each for each in found}
        by_source = sorted(once.values(), key=lambda each: each.source)
        for source, group in groupby(by_source, key=lambda each: each.source):
            labels = list(group)
            saved = sum(each.cost_micro for each in labels)
            text = f"the label book: run {source}, which paid {from_micro(saved):.3f} core-seconds"
            self._ledger.adopt([each.outcome for each in labels], text)
            count_saved(self._ledger, labels)
        book.note_taken(found)


def strike_withdrawn(ledger: Ledger, folder: RunFolder) -> None:
    """Tell the run's label book, if there is one, which labels the run has taken back.

    The caller holds the run's lock.
    """
    place = place_of_run(folder)
    if place is not None and ("://" in place.place or Path(place.place).exists()):
        SharedLabels(ledger, folder.frames, replace(place, required=True)).open()


def _identity(ledger: Ledger) -> str:
    known = ledger.get_fact(IDENTITY_FACT)
    if known is None:
        known = uuid.uuid4().hex
        ledger.put_fact(IDENTITY_FACT, known)
    return str(known)


def _asked(claims: Claims) -> Asked:
    return Asked(
        tuple(dict.fromkeys(each.job.key() for each in claims.found)),
        tuple(job.key() for job in claims.granted),
        tuple(job.key() for job in claims.busy),
        sum(each.cost_micro for each in claims.found),
    )


def _known(found: Found, identity: str) -> Known:
    origin = found.label.provenance
    return Known(
        found.job.key(),
        from_micro(found.cost_micro),
        origin.host,
        origin.threads,
        found.source_run == identity,
    )
