"""The ledger's reads, each inside a transaction that the caller opened."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Double, RowMapping, cast, func, select

from forgefield.storage.ledger.entries import (
    Balance,
    Entry,
    EntryKind,
    FailureRow,
    JobState,
    OpenReservation,
    Payment,
    State,
    TierTally,
)
from forgefield.storage.ledger.row_forms import job_of, stored_frame
from forgefield.storage.ledger.schema import (
    attempt,
    budget,
    entry,
    inbox,
    job,
    reservation,
    withdrawal,
)
from forgefield.storage.pieces import parts
from forgefield.storage.records import Failure, Job, Method, Purpose, Tier
from forgefield.storage.settled_frames import StoredFrame
from forgefield.storage.units import MICRO

_AS_TRIED = {"tier", "purpose"}
"""A job bought again may be of another purpose; a label keeps the one that it was bought for."""
_INBOX = (
    select(inbox, attempt.c.tier, attempt.c.purpose)
    .add_columns(*(column for column in job.c if column.name not in _AS_TRIED))
    .join(attempt, attempt.c.seq == inbox.c.seq)
    .join(job, job.c.key == inbox.c.job)
    .order_by(inbox.c.seq)
)


def balance(connection: Connection) -> Balance:
    """The budget row."""
    row = connection.execute(select(budget)).one()
    return Balance(row.cap_micro, row.spent_micro, row.reserved_micro)


def charged(connection: Connection, number: int) -> int:
    """What the attempts of a reservation were charged."""
    paid = select(func.coalesce(func.sum(attempt.c.used_micro), 0))
    return int(connection.execute(paid.where(attempt.c.reservation == number)).scalar_one())


def job_states(connection: Connection, keys: Sequence[str]) -> Mapping[str, JobState]:
    """State, attempts, last failure and its price by job key."""
    states = {}
    for part in parts(keys):
        rows = connection.execute(select(job).where(job.c.key.in_(part))).mappings().all()
        failed = [row["key"] for row in rows if row["state"] == State.FAILED.value]
        lost = _lost(connection, failed)
        for row in rows:
            key, state = row["key"], State(row["state"])
            states[key] = JobState(state, row["attempts"], _failure(row), lost.get(key, 0))
    return states


def _lost(connection: Connection, failed: Sequence[str]) -> dict[str, int]:
    """What the dearest attempt at each of the failed jobs took."""
    if not failed:
        return {}
    dearest = select(attempt.c.job, func.max(attempt.c.used_micro))
    rows = connection.execute(dearest.where(attempt.c.job.in_(failed)).group_by(attempt.c.job))
    return {key: int(used) for key, used in rows}


def jobs_in(connection: Connection, state: State) -> tuple[Job, ...]:
    """Jobs in a state, ordered by key."""
    found = connection.execute(select(job).where(job.c.state == state.value).order_by(job.c.key))
    return tuple(job_of(row) for row in found.mappings())


def open_reservations(connection: Connection) -> tuple[OpenReservation, ...]:
    """Reservations without a closing time, with their jobs."""
    holders: dict[int, list[Job]] = {}
    held = select(job).where(job.c.state == State.RESERVED.value).order_by(job.c.key)
    for row in connection.execute(held).mappings():
        holders.setdefault(row["reservation"], []).append(job_of(row))
    still_open = select(reservation).where(reservation.c.closed_at.is_(None))
    return tuple(
        OpenReservation(row.id, tuple(holders.get(row.id, ())), row.amount_micro, row.opened_at)
        for row in connection.execute(still_open.order_by(reservation.c.id))
    )


def failures(connection: Connection) -> tuple[FailureRow, ...]:
    """Failed attempts by sequence number."""
    query = (
        select(attempt, job.c.method, job.c.molecule)
        .join(job, job.c.key == attempt.c.job)
        .where(attempt.c.done == 0)
        .order_by(attempt.c.seq)
    )
    return tuple(_failure_row(row) for row in connection.execute(query).mappings())


def entries(connection: Connection, last: int | None = None) -> tuple[Entry, ...]:
    """The money log in its order, or its last lines."""
    query = select(entry).order_by(entry.c.id.desc())
    found = connection.execute(query if last is None else query.limit(last)).all()
    return tuple(
        Entry(row.id, row.at, EntryKind(row.kind), row.reservation, row.amount_micro, row.note)
        for row in reversed(found)
    )


def payments(connection: Connection) -> tuple[Payment, ...]:
    """Every attempt's charge in the order of settling; they add up to what is spent."""
    found = connection.execute(
        select(attempt.c.at, attempt.c.tier, attempt.c.used_micro).order_by(attempt.c.seq)
    )
    return tuple(Payment(row.at, Tier(row.tier), row.used_micro) for row in found)


def entry_count(connection: Connection) -> int:
    """Lines of the money log."""
    return int(connection.execute(select(func.count()).select_from(entry)).scalar_one())


def inbox_frames(connection: Connection, limit: int | None) -> tuple[StoredFrame, ...]:
    """Unpacked labels by sequence number."""
    found = connection.execute(_INBOX if limit is None else _INBOX.limit(limit))
    return tuple(stored_frame(row) for row in found.mappings())


def chosen_inbox_frames(
    connection: Connection, least_micro: int, keys: Sequence[str]
) -> tuple[StoredFrame, ...]:
    """Unpacked labels that cost at least so much or are of these jobs, by sequence number."""
    rows = {
        row["seq"]: row
        for part in parts(keys)
        for row in connection.execute(_INBOX.where(inbox.c.job.in_(part))).mappings()
    }
    dear = connection.execute(_INBOX.where(inbox.c.cost_micro >= least_micro)).mappings()
    rows |= {row["seq"]: row for row in dear}
    return tuple(stored_frame(rows[seq]) for seq in sorted(rows))


def tally(connection: Connection) -> tuple[TierTally, ...]:
    """Counts of jobs, and sums over attempts, by tier and purpose."""
    counts = select(job.c.tier, job.c.purpose, job.c.state, func.count())
    jobs = {
        (tier, purpose, state): number
        for tier, purpose, state, number in connection.execute(
            counts.group_by(job.c.tier, job.c.purpose, job.c.state)
        )
    }
    sums = _Sums(*_spent(connection), _withdrawn(connection))
    groups = {key[:2] for key in (*jobs, *sums.spent, *sums.adopted)}
    order = list(Tier)
    return tuple(
        _tally_row(Tier(tier), Purpose(purpose), jobs, sums)
        for tier, purpose in sorted(groups, key=lambda g: (order.index(Tier(g[0])), g[1]))
    )


@dataclass(frozen=True, slots=True)
class _Sums:
    """By (tier, purpose, done): attempts, micro and squared core-seconds; by group: counts."""

    spent: Mapping[tuple[str, int, int], tuple[int, int, float]]
    adopted: Mapping[tuple[str, int], int]
    withdrawn: Mapping[tuple[str, int], int]


def _spent(
    connection: Connection,
) -> tuple[dict[tuple[str, int, int], tuple[int, int, float]], dict[tuple[str, int], int]]:
    seconds = cast(attempt.c.used_micro, Double) / float(MICRO)
    free = attempt.c.source.is_not(None)
    group = (attempt.c.tier, attempt.c.purpose, attempt.c.done, free)
    query = select(
        *group, func.count(), func.sum(attempt.c.used_micro), func.sum(seconds * seconds)
    ).group_by(*group)
    spent, adopted = {}, {}
    for tier, purpose, done, came_free, number, used, squares in connection.execute(query):
        if came_free:
            adopted[tier, purpose] = int(number)
        else:
            spent[tier, purpose, done] = (int(number), int(used), float(squares))
    return spent, adopted


def _withdrawn(connection: Connection) -> dict[tuple[str, int], int]:
    group = (attempt.c.tier, attempt.c.purpose)
    query = select(*group, func.count()).join(withdrawal, withdrawal.c.attempt == attempt.c.seq)
    return {(t, p): int(number) for t, p, number in connection.execute(query.group_by(*group))}


def _tally_row(
    tier: Tier, purpose: Purpose, jobs: Mapping[tuple[str, int, str], int], sums: _Sums
) -> TierTally:
    group = (tier.value, int(purpose))
    labels, used, squares = sums.spent.get((*group, 1), (0, 0, 0.0))
    failed_attempts, wasted, _ = sums.spent.get((*group, 0), (0, 0, 0.0))
    mean, std = _moments(labels, used / MICRO, squares)
    standing = {s: jobs.get((*group, s.value), 0) for s in State}
    return TierTally(
        tier=tier,
        purpose=purpose,
        done=standing[State.DONE],
        failed=standing[State.FAILED],
        in_flight=standing[State.RESERVED],
        failed_attempts=failed_attempts,
        spent_micro=used + wasted,
        spent_on_failures_micro=wasted,
        mean_core_seconds=mean,
        std_core_seconds=std,
        bought=labels,
        adopted=sums.adopted.get(group, 0),
        withdrawn=sums.withdrawn.get(group, 0),
    )


def _moments(number: int, total: float, squares: float) -> tuple[float, float]:
    if not number:
        return math.nan, math.nan
    mean = total / number
    if number == 1:
        return mean, math.nan
    return mean, math.sqrt(max(0.0, squares - number * mean * mean) / (number - 1))


def _failure(row: RowMapping) -> Failure | None:
    if row["failure_kind"] is None:
        return None
    return Failure(row["failure_kind"], row["failure_message"])


def _failure_row(row: RowMapping) -> FailureRow:
    return FailureRow(
        seq=row["seq"],
        job_key=row["job"],
        reservation=row["reservation"],
        method=Method(Tier(row["tier"]), row["method"]),
        purpose=Purpose(row["purpose"]),
        molecule=row["molecule"],
        failure=Failure(row["failure_kind"], row["failure_message"]),
        used_micro=row["used_micro"],
        at=row["at"],
    )
