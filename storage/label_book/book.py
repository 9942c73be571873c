"""The label book: labels that runs share, so that nobody pays for one that another has bought.

Before a run reserves money it claims its jobs here, in one transaction: each is *found* (the label
exists, turned into the asking frame), *granted* (claimed for this run) or *busy* (claimed by
another live run, or by this one for a job of the same geometry). After settling it publishes. So
two runs never both pay for one geometry. Claims of dead runs pass on, but labels that a crash kept
from being published aren't lost: whoever takes a claim over looks for them first (`salvage`), and
so does their run when it is next opened (`reconciling`).
"""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Self

from sqlalchemy import Connection

from forgefield.storage.label_book import claiming, publishing
from forgefield.storage.label_book.claiming import Claims, Found
from forgefield.storage.label_book.opening import open_book, take_turn
from forgefield.storage.label_book.runs import Run, check_in
from forgefield.storage.label_book.salvage import publish_left_behind
from forgefield.storage.records import Job
from forgefield.storage.settled_frames import StoredFrame
from forgefield.storage.units import to_micro

LEAST_CORE_SECONDS = 0.1
"""A label that costs less isn't kept: looking it up with its share of a commit costs a tenth."""


class LabelBook:
    """The book at a SQLAlchemy URL or a path, for one run; made where there is none.

    Labels are kept that cost `least_core_seconds` or more, but not those that cost nothing. Every
    method raises `StorageError` where the database can't be used.
    """

    def __init__(
        self, place: str | Path, who: Run, least_core_seconds: float = LEAST_CORE_SECONDS
    ) -> None:
        self._database = open_book(place)
        self._who = who
        self._least_micro = max(1, to_micro(least_core_seconds))
        self.check_in()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._database.close()

    @property
    def least_micro(self) -> int:
        """Micro core-seconds from which on a label is kept."""
        return self._least_micro

    def check_in(self) -> None:
        """Tell other hosts that this run is alive."""
        take_turn(self._database, lambda c: check_in(c, self._who))

    def claim(self, jobs: Sequence[Job]) -> Claims:
        """Find or claim jobs, all in one transaction; each is found, granted or busy."""
        if not jobs:
            return Claims()
        return take_turn(self._database, lambda c: self._claimed(c, jobs))

    def _claimed(self, connection: Connection, jobs: Sequence[Job]) -> Claims:
        return claiming.claim(connection, jobs, self._who, publish_left_behind)

    def look(self, jobs: Sequence[Job]) -> Claims:
        """What `claim` would answer now; nothing is claimed."""
        return (
            self._database.read(lambda c: claiming.look(c, jobs, self._who)) if jobs else Claims()
        )

    def find(self, jobs: Sequence[Job]) -> tuple[Found, ...]:
        """The labels that answer some of these jobs."""
        return self.look(jobs).found

    def publish(self, frames: Sequence[StoredFrame]) -> int:
        """Share settled labels; a label that is there already is left as it is. How many are new.

        Those cheaper than `least_micro` are left out, unless they were claimed.
        """
        if not frames:
            return 0
        return take_turn(
            self._database,
            lambda c: publishing.publish(c, frames, self._who, self._least_micro),
        )

    def release(self, keys: Collection[str] | None = None) -> int:
        """Give up this run's claims on jobs, by default all; how many there were."""
        return take_turn(self._database, lambda c: publishing.release(c, keys, self._who))

    def note_taken(self, found: Sequence[Found]) -> None:
        """Remember that this run uses labels it found."""
        if found:
            take_turn(self._database, lambda c: publishing.note_taken(c, found, self._who))

    def strike(self, keys: Collection[str]) -> int:
        """Withdraw the labels of jobs that this run published or took; how many there were."""
        return take_turn(self._database, lambda c: publishing.strike(c, keys, self._who))

    def used_keys(self) -> set[str]:
        """Keys of the jobs whose labels this run published or took."""
        return self._database.read(lambda c: publishing.used_keys(c, self._who))

    def known_keys(self, keys: Collection[str]) -> set[str]:
        """Those of these job keys that the book holds a label for."""
        return self._database.read(lambda c: publishing.known_keys(c, keys))
