"""Settling a reservation, inside a transaction that the caller opened.

Closing the reservation is the gate: whoever closes it books its outcomes, everyone after that
finds it closed. Sequence numbers come from the budget row after its update.
"""

import time
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, bindparam, insert, select, update

from forgefield.storage.errors import StorageError
from forgefield.storage.ledger.cost_sharing import share_cost
from forgefield.storage.ledger.entries import EntryKind, State
from forgefield.storage.ledger.money_log import note
from forgefield.storage.ledger.outcome_checks import checked
from forgefield.storage.ledger.row_forms import inbox_row, job_of
from forgefield.storage.ledger.schema import attempt, budget, inbox, job, reservation
from forgefield.storage.records import Failure, Label, Outcome


def settle(
    connection: Connection, number: int, outcomes: Sequence[Outcome], used_micro: int, text: str
) -> bool:
    """Close a reservation and book its outcomes; jobs without one wait. False: was closed."""
    amount = _close(connection, number)
    if amount is None:
        return False
    keyed = _outcomes_of(connection, number, [checked(outcome) for outcome in outcomes])
    charged = min(used_micro, amount) if keyed else 0
    shares = share_cost(charged, list(keyed.values())) if keyed else []
    first = _charge(connection, amount, charged, len(keyed))
    _put_attempts(connection, number, keyed, shares, first)
    _put_inbox(connection, keyed, shares, first)
    _mark_jobs(connection, number, keyed)
    _note_settlement(connection, number, (amount, used_micro), (keyed, shares), text)
    return True


def fail(connection: Connection, number: int, failure: Failure, used_micro: int) -> bool:
    """Close a reservation with a failed attempt for each of its jobs."""
    held = select(job).where(job.c.reservation == number, job.c.state == State.RESERVED.value)
    jobs = [job_of(row) for row in connection.execute(held.order_by(job.c.key)).mappings()]
    outcomes = [Outcome(each, failure) for each in jobs]
    return settle(connection, number, outcomes, used_micro, "failed")


def _job_keys(connection: Connection, number: int) -> set[str]:
    """Keys of the jobs that a reservation holds now."""
    rows = connection.execute(
        select(job.c.key).where(job.c.reservation == number, job.c.state == State.RESERVED.value)
    )
    return set(rows.scalars())


def _close(connection: Connection, number: int) -> int | None:
    closed = connection.execute(
        update(reservation)
        .where(reservation.c.id == number, reservation.c.closed_at.is_(None))
        .values(closed_at=time.time())
    )
    amount = connection.execute(
        select(reservation.c.amount_micro).where(reservation.c.id == number)
    ).scalar_one_or_none()
    if amount is None:
        raise StorageError(f"The ledger knows no reservation {number}. Is this its run folder?")
    return int(amount) if closed.rowcount else None


def _outcomes_of(
    connection: Connection, number: int, outcomes: Sequence[Outcome]
) -> dict[str, Outcome]:
    keyed = {outcome.job.key(): outcome for outcome in outcomes}
    strangers = keyed.keys() - _job_keys(connection, number)
    if strangers or len(keyed) != len(outcomes):
        raise StorageError(
            f"The {len(outcomes)} outcomes for reservation {number} hold {len(strangers)} that it "
            f"didn't reserve and {len(outcomes) - len(keyed)} duplicates. Nothing was booked."
        )
    return keyed


def _charge(connection: Connection, amount: int, charged: int, numbers: int) -> int:
    connection.execute(
        update(budget).values(
            reserved_micro=budget.c.reserved_micro - amount,
            spent_micro=budget.c.spent_micro + charged,
            next_seq=budget.c.next_seq + numbers,
        )
    )
    return int(connection.execute(select(budget.c.next_seq)).scalar_one()) - numbers


def _put_attempts(
    connection: Connection,
    number: int,
    keyed: Mapping[str, Outcome],
    shares: Sequence[int],
    first: int,
) -> None:
    now = time.time()
    rows = [
        {
            "seq": first + place,
            "job": key,
            "reservation": number,
            "tier": outcome.job.method.tier.value,
            "purpose": int(outcome.job.purpose),
            "used_micro": share,
            "at": now,
        }
        | _verdict(outcome)
        for place, ((key, outcome), share) in enumerate(zip(keyed.items(), shares, strict=True))
    ]
    if rows:
        connection.execute(insert(attempt), rows)


def _verdict(outcome: Outcome) -> dict[str, int | str | None]:
    if isinstance(outcome.result, Failure):
        kind, message = outcome.result.kind, outcome.result.message
        return {"done": 0, "failure_kind": kind, "failure_message": message}
    return {"done": 1, "failure_kind": None, "failure_message": None}


def _put_inbox(
    connection: Connection, keyed: Mapping[str, Outcome], shares: Sequence[int], first: int
) -> None:
    rows = [
        inbox_row(first + place, key, outcome.result, shares[place])
        for place, (key, outcome) in enumerate(keyed.items())
        if isinstance(outcome.result, Label)
    ]
    if rows:
        connection.execute(insert(inbox), rows)


def _mark_jobs(connection: Connection, number: int, keyed: Mapping[str, Outcome]) -> None:
    statement = (
        update(job)
        .where(job.c.key == bindparam("of"))
        .values(
            state=bindparam("to"),
            attempts=job.c.attempts + 1,
            failure_kind=bindparam("kind"),
            failure_message=bindparam("message"),
        )
    )
    rows = [_mark(key, outcome) for key, outcome in keyed.items()]
    if rows:
        connection.execute(statement, rows)
    connection.execute(
        update(job)
        .where(job.c.reservation == number, job.c.state == State.RESERVED.value)
        .values(state=State.WAITING.value)
    )


def _mark(key: str, outcome: Outcome) -> dict[str, str | None]:
    if isinstance(outcome.result, Failure):
        failure = outcome.result
        return {
            "of": key,
            "to": State.FAILED.value,
            "kind": failure.kind,
            "message": failure.message,
        }
    return {"of": key, "to": State.DONE.value, "kind": None, "message": None}


def _note_settlement(
    connection: Connection,
    number: int,
    money: tuple[int, int],
    booked: tuple[Mapping[str, Outcome], Sequence[int]],
    text: str,
) -> None:
    amount, used = money
    outcomes, shares = booked
    labels = [s for o, s in zip(outcomes.values(), shares, strict=True) if _is_label(o)]
    failed = [s for o, s in zip(outcomes.values(), shares, strict=True) if not _is_label(o)]
    if labels:
        note(connection, EntryKind.LABEL, sum(labels), f"{len(labels)} labels", number)
    if failed:
        note(connection, EntryKind.FAILED, sum(failed), f"{len(failed)} failed attempts", number)
    note(connection, EntryKind.RELEASE, amount - sum(shares), text, number)
    if used > amount:
        note(connection, EntryKind.OVERRUN, used - amount, "not charged", number)


def _is_label(outcome: Outcome) -> bool:
    return isinstance(outcome.result, Label)
