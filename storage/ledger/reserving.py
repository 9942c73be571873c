"""Reserving money for jobs, inside a transaction that the caller opened.

Order matters: the budget row is updated first, which queues all writers behind it; what is read
or numbered afterwards is therefore the truth until the commit.
"""

import time
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, bindparam, insert, select, update

from forgefield.storage.errors import AlreadyBought, BudgetExhausted, InputError
from forgefield.storage.ledger.entries import EntryKind, State
from forgefield.storage.ledger.money_log import note
from forgefield.storage.ledger.queries import balance, parts
from forgefield.storage.ledger.row_forms import job_row
from forgefield.storage.ledger.schema import budget, job, reservation
from forgefield.storage.records import Job
from forgefield.storage.units import from_micro


def reserve(connection: Connection, jobs: Sequence[Job], amount_micro: int) -> int:
    """Set money aside for `jobs` and persist them; see `Ledger.reserve`."""
    keyed = _keyed(jobs)
    _hold(connection, amount_micro)
    known = _refuse_bought(connection, list(keyed))
    opened = connection.execute(
        insert(reservation).values(amount_micro=amount_micro, opened_at=time.time())
    ).inserted_primary_key
    number = int(opened[0]) if opened else 0
    _put_jobs(connection, {k: j for k, j in keyed.items() if k not in known}, number)
    _reserve_again(connection, {k: j for k, j in keyed.items() if k in known}, number)
    note(connection, EntryKind.RESERVE, amount_micro, f"{len(keyed)} jobs", number)
    return number


def extend(connection: Connection, number: int, amount_micro: int) -> None:
    """Set more aside for a reservation that is still open; see `Ledger.extend`."""
    _hold(connection, amount_micro)
    grown = connection.execute(
        update(reservation)
        .where(reservation.c.id == number, reservation.c.closed_at.is_(None))
        .values(amount_micro=reservation.c.amount_micro + amount_micro)
    )
    if not grown.rowcount:
        raise BudgetExhausted(f"Reservation {number} is closed; there is nothing to extend.")
    note(connection, EntryKind.RESERVE, amount_micro, "extended", number)


def _keyed(jobs: Sequence[Job]) -> dict[str, Job]:
    keyed = {each.key(): each for each in jobs}
    if not jobs or len(keyed) != len(jobs):
        raise InputError(
            f"A reservation needs jobs, each once; got {len(jobs)} with {len(keyed)} different."
        )
    return keyed


def _hold(connection: Connection, amount: int) -> None:
    held = connection.execute(
        update(budget)
        .where(budget.c.spent_micro + budget.c.reserved_micro + amount <= budget.c.cap_micro)
        .values(reserved_micro=budget.c.reserved_micro + amount)
    )
    if not held.rowcount:
        now = balance(connection)
        raise BudgetExhausted(
            f"{from_micro(amount):g} core-seconds don't fit into the "
            f"{from_micro(now.left_micro):g} left of {from_micro(now.cap_micro):g}. "
            "Raise the budget, or wait for labels in flight."
        )


def _refuse_bought(connection: Connection, keys: Sequence[str]) -> set[str]:
    known: set[str] = set()
    for part in parts(keys):
        for key, state in connection.execute(
            select(job.c.key, job.c.state).where(job.c.key.in_(part))
        ):
            if state in {State.DONE, State.RESERVED}:
                raise AlreadyBought(f"Job {key} is {state} already. Leave it out.")
            known.add(key)
    return known


def _put_jobs(connection: Connection, new: Mapping[str, Job], number: int) -> None:
    fresh = {"state": State.RESERVED.value, "attempts": 0, "reservation": number}
    if new:
        connection.execute(insert(job), [job_row(key, each) | fresh for key, each in new.items()])


def _reserve_again(connection: Connection, known: Mapping[str, Job], number: int) -> None:
    statement = (
        update(job)
        .where(job.c.key == bindparam("of"))
        .values(state=State.RESERVED.value, purpose=bindparam("to"), reservation=number)
    )
    if known:
        rows = [{"of": key, "to": int(each.purpose)} for key, each in known.items()]
        connection.execute(statement, rows)
