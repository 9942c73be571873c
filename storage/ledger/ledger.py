"""The ledger: who may spend, what was spent, and what was bought for it.

Never broken, not even by a kill -9 between any two steps: spent + reserved ≤ cap at every
instant; a reservation is closed once, and its money, its labels and its jobs change in the same
transaction; a settled label stays in the inbox until the frame store has committed it; the money
log is append-only and replays to the balance. All amounts are integer micro core-seconds.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from sqlalchemy import delete, insert, select, update

from forgefield.storage.errors import InputError, StorageError
from forgefield.storage.ledger import money_log, queries, reserving, settling
from forgefield.storage.ledger.database import open_engine, reading, writing
from forgefield.storage.ledger.entries import (
    Balance,
    Entry,
    FailureRow,
    JobState,
    OpenReservation,
    State,
    TierTally,
)
from forgefield.storage.ledger.invariants import broken_invariants
from forgefield.storage.ledger.schema import (
    BUDGET_ROW,
    SCHEMA_VERSION,
    budget,
    fact,
    inbox,
    metadata,
)
from forgefield.storage.records import Failure, Job, Outcome
from forgefield.storage.settled_frames import StoredFrame

__all__ = [
    "Balance",
    "Entry",
    "FailureRow",
    "JobState",
    "Ledger",
    "OpenReservation",
    "State",
    "TierTally",
]
LARGEST_MICRO = 2**62
_VERSION_FACT = "ledger schema"


class Ledger:
    """The ledger at a SQLAlchemy URL, such as `sqlite:////runs/one/ledger.sqlite`.

    Creates its tables where they are absent, with a cap of 0. With `read_only=True` it only
    looks, while another process writes. Every method raises `StorageError` where the database
    can't be used.
    """

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        self._engine = open_engine(url, read_only=read_only)
        try:
            if not read_only:
                self._create()
            self._check_version()
        except BaseException:
            self._engine.dispose()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back; the ledger can't be used afterwards."""
        self._engine.dispose()

    def set_cap(self, cap_micro: int, reason: str) -> None:
        """Set or change the cap; raises `InputError` below what is spent and reserved."""
        _natural("cap", cap_micro)
        with writing(self._engine) as connection:
            money_log.set_cap(connection, cap_micro, reason)

    def reserve(self, jobs: Sequence[Job], amount_micro: int) -> int:
        """Set `amount_micro` aside for `jobs` and persist them; the reservation's number.

        Raises `BudgetExhausted` where it doesn't fit, `AlreadyBought` where a job is done or in
        flight, `InputError` for no jobs or the same one twice; then nothing has changed.
        """
        _natural("amount", amount_micro)
        with writing(self._engine) as connection:
            return reserving.reserve(connection, jobs, amount_micro)

    def extend(self, reservation: int, amount_micro: int) -> None:
        """Set more aside for a label that takes longer than was reserved for it.

        Raises `BudgetExhausted` where it doesn't fit or the reservation is closed; then nothing
        has changed.
        """
        _natural("amount", amount_micro)
        with writing(self._engine) as connection:
            reserving.extend(connection, reservation, amount_micro)

    def settle(self, reservation: int, outcomes: Sequence[Outcome], used_micro: int) -> bool:
        """Close a reservation: charge, release the rest, keep the labels, mark the jobs.

        Charges min(used, reserved). Jobs without an outcome go back to waiting. Returns False,
        and changes nothing, where the reservation was closed before.
        """
        _natural("use", used_micro)
        if used_micro and not outcomes:
            raise InputError("A use without outcomes can't be settled. Call `fail` or `refund`.")
        with writing(self._engine) as connection:
            return settling.settle(connection, reservation, outcomes, used_micro, "settled")

    def refund(self, reservation: int, reason: str) -> bool:
        """Close a reservation of which nothing was used; False where it was closed before."""
        with writing(self._engine) as connection:
            return settling.settle(connection, reservation, (), 0, f"refunded: {reason}")

    def fail(self, reservation: int, failure: Failure, used_micro: int) -> bool:
        """Close a reservation whose jobs all failed; False where it was closed before."""
        _natural("use", used_micro)
        with writing(self._engine) as connection:
            return settling.fail(connection, reservation, failure, used_micro)

    def balance(self) -> Balance:
        """Cap, spent and reserved at one instant."""
        with reading(self._engine) as connection:
            return queries.balance(connection)

    def tally(self) -> tuple[TierTally, ...]:
        """Labels and money by tier and purpose, cheapest tier first."""
        with reading(self._engine) as connection:
            return queries.tally(connection)

    def open_reservations(self) -> tuple[OpenReservation, ...]:
        """Reservations that nobody has closed, oldest first."""
        with reading(self._engine) as connection:
            return queries.open_reservations(connection)

    def job_states(self, keys: Collection[str]) -> Mapping[str, JobState]:
        """Where these jobs stand; a job that was never reserved is absent."""
        with reading(self._engine) as connection:
            return queries.job_states(connection, sorted(keys))

    def jobs(self, state: State) -> tuple[Job, ...]:
        """All jobs in a state, such as `State.FAILED`, to try them again."""
        with reading(self._engine) as connection:
            return queries.jobs_in(connection, state)

    def failures(self) -> tuple[FailureRow, ...]:
        """Every failed attempt, oldest first."""
        with reading(self._engine) as connection:
            return queries.failures(connection)

    def entries(self) -> tuple[Entry, ...]:
        """The money log, oldest first."""
        with reading(self._engine) as connection:
            return queries.entries(connection)

    def verify(self, store: Path | None = None) -> list[str]:
        """Replay the money log and name each broken invariant; empty when all is well.

        With the path of a frame store, also that it and the inbox hold each settled label once.
        """
        with reading(self._engine) as connection:
            return broken_invariants(connection, store)

    def put_fact(self, name: str, value: Any) -> None:  # noqa: ANN401
        """Remember a JSON value under a name, replacing an older one."""
        text = json.dumps(value)
        with writing(self._engine) as connection:
            changed = connection.execute(update(fact).where(fact.c.name == name).values(value=text))
            if not changed.rowcount:
                connection.execute(insert(fact).values(name=name, value=text))

    def get_fact(self, name: str) -> Any:  # noqa: ANN401
        """The value remembered under a name, or `None`."""
        with reading(self._engine) as connection:
            text = connection.execute(
                select(fact.c.value).where(fact.c.name == name)
            ).scalar_one_or_none()
        return None if text is None else json.loads(text)

    def inbox(self, limit: int | None = None) -> tuple[StoredFrame, ...]:
        """Settled labels that are not packed yet, by sequence number, at most `limit`."""
        with reading(self._engine) as connection:
            return queries.inbox_frames(connection, limit)

    def drop_from_inbox(self, seqs: Iterable[int]) -> None:
        """Forget labels that the frame store has committed, by explicit list."""
        rows = list(seqs)
        with writing(self._engine) as connection:
            for part in queries.parts(rows):
                connection.execute(delete(inbox).where(inbox.c.seq.in_(part)))

    def _create(self) -> None:
        with writing(self._engine) as connection:
            metadata.create_all(connection)
            if connection.execute(select(budget.c.id)).first() is None:
                zeros = {"cap_micro": 0, "spent_micro": 0, "reserved_micro": 0, "next_seq": 1}
                connection.execute(insert(budget).values(id=BUDGET_ROW, **zeros))
                connection.execute(
                    insert(fact).values(name=_VERSION_FACT, value=str(SCHEMA_VERSION))
                )

    def _check_version(self) -> None:
        found = self.get_fact(_VERSION_FACT)
        if found != SCHEMA_VERSION:
            raise StorageError(
                f"The ledger has schema {found}, this program writes {SCHEMA_VERSION}. "
                "Use the version of Forgefield that made it."
            )


def _natural(what: str, micro: int) -> None:
    whole = isinstance(micro, int) and not isinstance(micro, bool)
    if not whole or not 0 <= micro < LARGEST_MICRO:
        raise InputError(
            f"The {what} must be a whole number of micro core-seconds from 0 to 2^62: {micro!r}"
        )
