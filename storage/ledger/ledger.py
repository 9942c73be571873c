"""The ledger: who may spend, what was spent, and what was bought for it.

Never broken, not even by a kill -9 between any two steps: spent + reserved ≤ cap at every
instant; a reservation is closed once, and its money, its labels and its jobs change in the same
transaction; a settled label stays in the inbox until the frame store has committed it; the money
log is append-only and replays to the balance. All amounts are integer micro core-seconds.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, delete

from forgefield.storage.errors import InputError
from forgefield.storage.ledger import (
    addresses,
    adopting,
    facts,
    migration,
    money_log,
    queries,
    reserving,
    settling,
    withdrawing,
)
from forgefield.storage.ledger.adopting import Late
from forgefield.storage.ledger.database import Database
from forgefield.storage.ledger.entries import (
    Balance,
    Entry,
    FailureRow,
    JobState,
    OpenReservation,
    Overview,
    Payment,
    State,
    TierTally,
    Withdrawal,
)
from forgefield.storage.ledger.invariants import broken_invariants
from forgefield.storage.ledger.schema import inbox
from forgefield.storage.pieces import parts
from forgefield.storage.records import Failure, Job, Outcome
from forgefield.storage.settled_frames import StoredFrame

LARGEST_MICRO = 2**62


class Ledger:
    """The ledger at a database URL, such as `sqlite:////runs/one/ledger.sqlite`.

    Or `postgresql://user@host/database?schema=run`; see `addresses`.
    Creates its tables where they are absent, with a cap of 0, and brings those of an older
    Forgefield up to date. With `read_only=True` it only looks, while another process writes. Every
    method raises `StorageError` where the database can't be used.
    """

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        self._database = Database(url, read_only=read_only)
        try:
            if not read_only:
                self._database.write(self._create)
            elif self._database.read(migration.schema_version) == migration.OLDER:
                Ledger(url).close()
            migration.refuse_other_schema(
                self._database.read(migration.schema_version), self._database.url
            )
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back; the ledger can't be used afterwards."""
        self._database.close()

    def set_cap(self, cap_micro: int, reason: str) -> None:
        """Set or change the cap; raises `InputError` below what is spent and reserved."""
        _natural("cap", cap_micro)
        self._database.write(lambda c: money_log.set_cap(c, cap_micro, reason))

    def reserve(self, jobs: Sequence[Job], amount_micro: int) -> int:
        """Set `amount_micro` aside for `jobs` and persist them; the reservation's number.

        Raises `BudgetExhausted` where it doesn't fit, `AlreadyBought` where a job is done or in
        flight, `InputError` for no jobs or the same one twice; then nothing has changed.
        """
        _natural("amount", amount_micro)
        keyed = reserving.keyed_jobs(jobs)
        return self._database.write(lambda c: reserving.reserve(c, keyed, amount_micro))

    def extend(self, reservation: int, amount_micro: int) -> None:
        """Set more aside for a label that takes longer than was reserved for it.

        Raises `BudgetExhausted` where it doesn't fit or the reservation is closed; then nothing
        has changed.
        """
        _natural("amount", amount_micro)
        self._database.write(lambda c: reserving.extend(c, reservation, amount_micro))

    def settle(self, reservation: int, outcomes: Sequence[Outcome], used_micro: int) -> bool:
        """Close a reservation: charge, release the rest, keep the labels, mark the jobs.

        Charges min(used, reserved). Jobs without an outcome go back to waiting. Returns False,
        and changes nothing, where the reservation was closed before.
        """
        _natural("use", used_micro)
        if used_micro and not outcomes:
            raise InputError("A use without outcomes can't be settled. Call `fail` or `refund`.")
        return self._database.write(
            lambda c: settling.settle(c, reservation, outcomes, used_micro, "settled")
        )

    def refund(self, reservation: int, reason: str) -> bool:
        """Close a reservation of which nothing was used; False where it was closed before."""
        return self._database.write(
            lambda c: settling.settle(c, reservation, (), 0, f"refunded: {reason}")
        )

    def fail(self, reservation: int, failure: Failure, used_micro: int) -> bool:
        """Close a reservation whose jobs all failed; False where it was closed before."""
        _natural("use", used_micro)
        return self._database.write(lambda c: settling.fail(c, reservation, failure, used_micro))

    def adopt(self, outcomes: Sequence[Outcome], source: str) -> int:
        """Book labels that cost nothing, imported or found in another run; how many.

        Raises `AlreadyBought` where a job is done or in flight, `InputError` for failures, broken
        labels or the same job twice; then nothing has changed.
        """
        keyed = adopting.adoptable(outcomes)
        return self._database.write(lambda c: adopting.adopt(c, keyed, source))

    def late_labels(self, reservation: int, outcomes: Sequence[Outcome]) -> Late:
        """Of what a worker finished after its reservation was closed, what is worth adopting.

        Labels of jobs that are not done, and that were never booked before: not by this
        reservation, nor for any other, withdrawn ones included.
        """
        return self._database.read(lambda c: adopting.late_labels(c, reservation, outcomes))

    def withdraw(self, keys: Sequence[str], reason: str) -> int:
        """Take the settled labels of these jobs back; how many.

        What they cost stays spent; the jobs may be bought again. Raises `InputError` for a job
        without a label, one that is named twice, or no reason; then nothing has changed.
        """
        if not keys or len(set(keys)) != len(keys) or not reason.strip():
            raise InputError("A withdrawal needs jobs, each once, and a reason.")
        return self._database.write(lambda c: withdrawing.withdraw(c, keys, reason.strip()))

    def balance(self) -> Balance:
        """Cap, spent and reserved at one instant."""
        return self._database.read(queries.balance)

    def charged(self, reservation: int) -> int:
        """What was charged for a reservation so far, in micro core-seconds."""
        return self._database.read(lambda c: queries.charged(c, reservation))

    def tally(self) -> tuple[TierTally, ...]:
        """Labels and money by tier and purpose, cheapest tier first."""
        return self._database.read(queries.tally)

    def overview(self, last: int | None = None) -> Overview:
        """Balance, tally and the last entries (by default all), of one instant."""
        return self._database.read(
            lambda c: Overview(
                queries.balance(c),
                queries.tally(c),
                queries.entries(c, last),
                queries.entry_count(c),
            )
        )

    def open_reservations(self) -> tuple[OpenReservation, ...]:
        """Reservations that nobody has closed, oldest first."""
        return self._database.read(queries.open_reservations)

    def job_states(self, keys: Collection[str]) -> Mapping[str, JobState]:
        """Where these jobs stand; a job that was never reserved is absent."""
        return self._database.read(lambda c: queries.job_states(c, sorted(keys)))

    def jobs(self, state: State) -> tuple[Job, ...]:
        """All jobs in a state, such as `State.FAILED`, to try them again."""
        return self._database.read(lambda c: queries.jobs_in(c, state))

    def failures(self) -> tuple[FailureRow, ...]:
        """Every failed attempt, oldest first."""
        return self._database.read(queries.failures)

    def entries(self) -> tuple[Entry, ...]:
        """The money log, oldest first."""
        return self._database.read(queries.entries)

    def payments(self) -> tuple[Payment, ...]:
        """What every attempt was charged, in the order of settling."""
        return self._database.read(queries.payments)

    def withdrawals(self, *, unpacked_only: bool = False) -> tuple[Withdrawal, ...]:
        """Labels that were taken back, oldest first; only those the store doesn't know of yet."""
        return self._database.read(
            lambda c: withdrawing.withdrawals(c, unpacked_only=unpacked_only)
        )

    def keys_of(self, names: Iterable[str]) -> list[str]:
        """Job keys by keys or by sequence numbers; raises `InputError` for an unknown number."""
        wanted = list(names)
        return self._database.read(lambda c: withdrawing.keys_of(c, wanted))

    def verify(self, store: Path | None = None) -> list[str]:
        """Replay the money log and name each broken invariant; empty when all is well.

        With the path of a frame store, also that it and the inbox hold each settled label once,
        at its cost, and that its bytes are whole.
        """
        return self._database.read(lambda c: broken_invariants(c, store))

    def put_fact(self, name: str, value: Any) -> None:  # noqa: ANN401
        """Remember a JSON value under a name, replacing an older one."""
        self._database.write(lambda c: facts.put(c, name, value))

    def get_fact(self, name: str) -> Any:  # noqa: ANN401
        """The value remembered under a name, or `None`."""
        return self._database.read(lambda c: facts.get(c, name))

    def change_fact(self, name: str, new: Callable[[Any], Any]) -> Any:  # noqa: ANN401
        """Put `new(old)`, a JSON value, in the place of a fact (or of `None`), and return it.

        Nobody else writes in between. What `new` raises leaves the fact as it is.
        """
        return self._database.write(lambda c: facts.change(c, name, new))

    def inbox(self, limit: int | None = None) -> tuple[StoredFrame, ...]:
        """Settled labels that are not packed yet, by sequence number, at most `limit`."""
        return self._database.read(lambda c: queries.inbox_frames(c, limit))

    def inbox_of(self, least_micro: int, keys: Collection[str]) -> tuple[StoredFrame, ...]:
        """Of these labels, those that cost at least so much or are of the jobs `keys`."""
        return self._database.read(
            lambda c: queries.chosen_inbox_frames(c, least_micro, sorted(keys))
        )

    def drop_from_inbox(self, seqs: Iterable[int]) -> None:
        """Forget labels that the frame store has committed, by explicit list."""
        rows = list(seqs)

        def drop(connection: Connection) -> None:
            for part in parts(rows):
                connection.execute(delete(inbox).where(inbox.c.seq.in_(part)))

        if rows:
            self._database.write(drop)

    def mark_packed(self, seqs: Sequence[int]) -> None:
        """Remember that the frame store has committed these withdrawals."""
        if seqs:
            self._database.write(lambda c: withdrawing.mark_packed(c, seqs))

    def _create(self, connection: Connection) -> None:
        migration.create(connection, addresses.schema_of(self._database.url))


def _natural(what: str, micro: int) -> None:
    whole = isinstance(micro, int) and not isinstance(micro, bool)
    if not whole or not 0 <= micro < LARGEST_MICRO:
        raise InputError(
            f"The {what} must be a whole number of micro core-seconds from 0 to 2^62: {micro!r}"
        )
