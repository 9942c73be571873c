"""A run's ledger beside the label book that it shares with other runs: found labels are booked.

Lives in the process that writes the ledger. Without a book everything is granted at once, and so
it is from then on where a book that isn't required can't be used any more.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from forgefield.platform.book_places import BookPlace, remember_place
from forgefield.platform.buying.run_books import identity_of, opened_book
from forgefield.platform.buying.saved_labels import Saved, count_saved, saved_labels
from forgefield.platform.stand_in_names import is_real
from forgefield.storage.errors import InputError, StorageError
from forgefield.storage.label_book import Claims, Found, LabelBook
from forgefield.storage.label_book.publishing import Withdrawn
from forgefield.storage.label_book.reconciling import (
    Holdings,
    Reconciled,
    reconcile,
    withdraw_struck,
)
from forgefield.storage.ledger import Ledger
from forgefield.storage.records import Job
from forgefield.storage.units import from_micro

CHECK_IN_EVERY_S = 60.0
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the book says of jobs, by key: booked at no cost, to be bought, being bought elsewhere.

    `saved_micro` is what the found ones have cost where they were bought; `holders` names the runs
    that are buying the busy ones, nobody where this one does.
    """

    found: tuple[str, ...] = ()
    granted: tuple[str, ...] = ()
    busy: tuple[str, ...] = ()
    saved_micro: int = 0
    holders: tuple[str, ...] = ()


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
        self._news: list[str] = []

    def open(self) -> Reconciled | None:
        """Open the book and mend what an earlier driver left; `None` without one."""
        if self._place is None:
            return None
        self._identity = identity_of(self._ledger)
        remember_place(self._ledger, self._place)
        place = self._place
        self._book = self._guarded(lambda: opened_book(self._ledger, place), None)
        return None if self._book is None else self._reconciled(self._book)

    def news(self) -> tuple[str, ...]:
        """What people should be told, each once."""
        told, self._news = tuple(self._news), []
        return told

    def ask(self, jobs: Sequence[Job], *, claim: bool) -> Asked:
        """Book what is found; with `claim`, what is granted is this run's to buy."""
        if self._book is None:
            return Asked(granted=tuple(job.key() for job in jobs))
        self.publish()
        claims = self._claims(self._book, jobs, claim=claim)
        self._book_found(claims.found)
        asked = _asked(claims)
        if claim:
            self._claimed.update(asked.granted)
        return asked

    def saved(self) -> Saved:
        """What the run found so far."""
        return saved_labels(self._ledger)

    def known(self, jobs: Sequence[Job]) -> tuple[Known, ...]:
        """Labels in the book that answer these jobs; nothing is booked."""
        book = self._book
        nothing: tuple[Found, ...] = ()
        found = nothing if book is None else self._guarded(lambda: book.find(jobs), nothing)
        return tuple(_known(each, self._identity) for each in found)

    def publish(self) -> None:
        """Share what was settled and is not packed yet."""
        book = self._book
        if book is None:
            return
        inbox = self._ledger.inbox_of(book.least_micro, self._claimed)
        dear = [frame for frame in inbox if is_real(frame.job.method.name)]
        self._guarded(lambda: book.publish(dear), 0)
        self._claimed.difference_update(frame.job.key() for frame in dear)
        if time.monotonic() - self._checked_in > CHECK_IN_EVERY_S:
            self._checked_in = time.monotonic()
            self._guarded(book.check_in, None)

    def release(self, keys: Sequence[str] | None) -> None:
        """Leave jobs, by default all, to others; all means that the run buys no more."""
        book = self._book
        if book is None:
            return
        self.publish()
        self._guarded(lambda: book.release(keys), 0)
        if keys is None:
            self._guarded(book.check_out, None)
        self._claimed.difference_update(set(self._claimed if keys is None else keys))

    def _guarded(self, work: Callable[[], Answer], without: Answer) -> Answer:
        """What the book says; `without`, and no book any more, where it can't be used."""
        try:
            return work()
        except (InputError, StorageError) as error:
            if self._place is None or self._place.required:
                raise
            if not self.trouble:
                self._news.append(f"No label book from here on: {error}")
            self._book, self.trouble = None, str(error)
            return without

    def _reconciled(self, book: LabelBook) -> Reconciled | None:
        holdings = Holdings.of(self._ledger, self._frames)
        mended = self._guarded(lambda: reconcile(book, holdings), None)
        nothing: list[Withdrawn] = []
        struck = nothing if mended is None else self._guarded(book.withdrawn_elsewhere, nothing)
        for source, count in withdraw_struck(self._ledger, holdings, struck).items():
            labels = "1 label is" if count == 1 else f"{count:,} labels are"
            self._news.append(
                f"{labels} withdrawn that came from run {source}: struck in the label "
                "book. They are left out of training and bought anew where the plan has them."
            )
        return mended

    def _claims(self, book: LabelBook, jobs: Sequence[Job], *, claim: bool) -> Claims:
        """What the book says; what is used of it is noted there before it is booked here."""

        def asked() -> Claims:
            claims = book.claim(jobs) if claim else book.look(jobs)
            book.note_taken(claims.found)
            return claims

        return self._guarded(asked, Claims(granted=tuple(jobs)))

    def _book_found(self, found: Sequence[Found]) -> None:
        """At no cost, each with the run it came from; jobs named twice are booked once."""
        once = {each.job.key(): each for each in found}
        by_source = sorted(once.values(), key=lambda each: each.source)
        for source, group in groupby(by_source, key=lambda each: each.source):
            labels = list(group)
            saved = sum(each.cost_micro for each in labels)
            text = f"the label book: run {source}, which paid {from_micro(saved):.3f} core-seconds"
            self._ledger.adopt([each.outcome for each in labels], text)
            count_saved(self._ledger, labels)


def _asked(claims: Claims) -> Asked:
    return Asked(
        tuple(dict.fromkeys(each.job.key() for each in claims.found)),
        tuple(job.key() for job in claims.granted),
        tuple(job.key() for job in claims.busy),
        sum(each.cost_micro for each in claims.found),
        claims.holders,
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
