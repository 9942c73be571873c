"""Reserving money for jobs, inside a transaction that the caller opened.

Order matters: the budget row is updated first, which queues all writers behind it; what is read
or numbered afterwards is therefore the truth until the commit. Who needs a reservation's row as
well takes that before the budget's, so that no two writers wait for each other.
"""

import time
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, bindparam, insert, select, update

from forgefield.storage.errors import AlreadyBought, BudgetExhausted, InputError
from forgefield.storage.ledger.entries import EntryKind, State
from forgefield.storage.ledger.money_log import hold, note
from forgefield.storage.ledger.row_forms import job_row
from forgefield.storage.ledger.schema import job, reservation
from forgefield.storage.pieces import parts
from forgefield.storage.records import Job


def reserve(connection: Connection, keyed: Mapping[str, Job], amount_micro: int) -> int:
    """Set money aside for jobs and persist them; see `Ledger.reserve`."""
    hold(connection, amount_micro)
    number = open_reservation(connection, keyed, amount_micro)
    note(connection, EntryKind.RESERVE, amount_micro, f"{len(keyed)} jobs", number)
    return number


def open_reservation(connection: Connection, keyed: Mapping[str, Job], amount_micro: int) -> int:
    """A reservation that holds these jobs; raises `AlreadyBought`. The budget must be held."""
    known = _refuse_bought(connection, list(keyed))
    opening = {"amount_micro": amount_micro, "opened_at": time.time()}
    opened = connection.execute(_OPEN, opening).inserted_primary_key
    number = int(opened[0]) if opened else 0
    _put_jobs(connection, {k: j for k, j in keyed.items() if k not in known}, number)
    _reserve_again(connection, {k: j for k, j in keyed.items() if k in known}, number)
    return number


def extend(connection: Connection, number: int, amount_micro: int) -> None:
    """Set more aside for a reservation that is still open; see `Ledger.extend`."""
    grown = connection.execute(
        update(reservation)
        .where(reservation.c.id == number, reservation.c.closed_at.is_(None))
        .values(amount_micro=reservation.c.amount_micro + amount_micro)
    )
    if not grown.rowcount:
        raise BudgetExhausted(f"Reservation {number} is closed; there is nothing to extend.")
    hold(connection, amount_micro)
    note(connection, EntryKind.RESERVE, amount_micro, "extended", number)


def keyed_jobs(jobs: Sequence[Job]) -> dict[str, Job]:
    """Jobs by key; raises `InputError` for none or the same one twice."""
    keyed = {each.key(): each for each in jobs}
    if not jobs or len(keyed) != len(jobs):
        raise InputError(
            f"A reservation needs jobs, each once; got {len(jobs)} with {len(keyed)} different."
        )
    return keyed


def _refuse_bought(connection: Connection, keys: Sequence[str]) -> set[str]:
    known: set[str] = set()
    for part in parts(keys):
        for key, state in connection.execute(_STATES, {"keys": part}):
            if state in {State.DONE, State.RESERVED}:
                raise AlreadyBought(f"Job {key} is {state} already. Leave it out.")
            known.add(key)
    return known


def _put_jobs(connection: Connection, new: Mapping[str, Job], number: int) -> None:
    fresh = {"state": State.RESERVED.value, "attempts": 0, "reservation": number}
    if new:
        connection.execute(_ADD, [job_row(key, each) | fresh for key, each in new.items()])


def _reserve_again(connection: Connection, known: Mapping[str, Job], number: int) -> None:
    statement = (
        update(job)
        .where(job.c.key == bindparam("of"))
        .values(
            state=State.RESERVED.value,
            purpose=bindparam("to"),
            tier=bindparam("at"),
            reservation=number,
        )
    )
    if known:
        rows = [
            {"of": key, "to": int(each.purpose), "at": each.method.tier.value}
            for key, each in known.items()
        ]
        connection.execute(statement, rows)


_OPEN, _ADD = insert(reservation), insert(job)
_STATES = select(job.c.key, job.c.state).where(job.c.key.in_(bindparam("keys", expanding=True)))
