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
from forgefield.storage.label_book.publishing import Held, Withdrawn
from forgefield.storage.label_book.runs import (
    SILENCE_S,
    Liveness,
    Run,
    check_in,
    check_out,
    refuse_other_hosts,
)
from forgefield.storage.label_book.salvage import publish_left_behind
from forgefield.storage.ledger.addresses import is_local
from forgefield.storage.records import Job
from forgefield.storage.settled_frames import StoredFrame
from forgefield.storage.units import to_micro

LEAST_CORE_SECONDS = 0.1
"""A label that costs less isn't kept: looking it up with its share of a commit costs a tenth."""


class LabelBook:
    """The book at a SQLAlchemy URL or a path, for one run; made where there is none.

    Labels are kept that cost `least_core_seconds` or more, but not those that cost nothing. A run
    that wasn't heard of for `silence_s` is waited for no longer. Raises `InputError` for a file
    that another host uses; every method raises `StorageError` where the database can't be used.
    """

    def __init__(
        self,
        place: str | Path,
        who: Run,
        least_core_seconds: float = LEAST_CORE_SECONDS,
        silence_s: float = SILENCE_S,
    ) -> None:
        self._database = open_book(place)
        self._who, self._silence_s = who, silence_s
        self._least_micro = max(1, to_micro(least_core_seconds))
        try:
            take_turn(self._database, self._enter)
        except BaseException:
            self.close()
            raise

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

    def check_out(self) -> None:
        """Tell others that this run has ended."""
        take_turn(self._database, lambda c: check_out(c, self._who))

    def claim(self, jobs: Sequence[Job]) -> Claims:
        """Find or claim jobs, all in one transaction; each is found, granted or busy."""
        if not jobs:
            return Claims()
        return take_turn(self._database, lambda c: self._claimed(c, jobs))

    def _enter(self, connection: Connection) -> None:
        if is_local(self._database.url):
            refuse_other_hosts(connection, self._who, self._silence_s)
        check_in(connection, self._who)

    def _claimed(self, connection: Connection, jobs: Sequence[Job]) -> Claims:
        alive = Liveness(connection, self._silence_s)
        return claiming.claim(connection, jobs, self._who, alive, publish_left_behind)

    def _looked_up(self, connection: Connection, jobs: Sequence[Job]) -> Claims:
        return claiming.look(connection, jobs, self._who, Liveness(connection, self._silence_s))

    def look(self, jobs: Sequence[Job]) -> Claims:
        """What `claim` would answer now; nothing is claimed."""
        return self._database.read(lambda c: self._looked_up(c, jobs)) if jobs else Claims()

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

    def strike(self, labels: Collection[Held]) -> int:
        """Withdraw labels that this run published or took; how many there were."""
        if not labels:
            return 0
        return take_turn(self._database, lambda c: publishing.strike(c, labels, self._who))

    def claimed_keys(self) -> set[str]:
        """Keys of the jobs that this run has claimed."""
        return self._database.read(lambda c: publishing.claimed_keys(c, self._who))

    def withdrawn_elsewhere(self) -> list[Withdrawn]:
        """Labels that this run took and that somebody has struck since."""
        return self._database.read(lambda c: publishing.withdrawn_elsewhere(c, self._who))

    def known_keys(self, keys: Collection[str]) -> set[str]:
        """Those of these job keys that the book holds a label for."""
        return self._database.read(lambda c: publishing.known_keys(c, keys))
