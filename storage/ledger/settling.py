"""Settling a reservation, inside a transaction that the caller opened.

Closing the reservation is the gate: whoever closes it books its outcomes, everyone after that
finds it closed. Sequence numbers come from the budget row after its update.
"""

import time
from collections.abc import Sequence

from sqlalchemy import Connection, Double, bindparam, select, update

from forgefield.storage.errors import StorageError
from forgefield.storage.ledger.booking import Booking, book
from forgefield.storage.ledger.cost_sharing import share_cost
from forgefield.storage.ledger.entries import EntryKind, State
from forgefield.storage.ledger.money_log import charge, note_all
from forgefield.storage.ledger.outcome_checks import checked
from forgefield.storage.ledger.row_forms import job_of
from forgefield.storage.ledger.schema import job, reservation
from forgefield.storage.records import Failure, Label, Outcome


def settle(
    connection: Connection, number: int, outcomes: Sequence[Outcome], used_micro: int, text: str
) -> bool:
    """Close a reservation and book its outcomes; jobs without one wait. False: was closed."""
    amount = close(connection, number)
    if amount is None:
        return False
    held = set(connection.execute(_HELD_KEYS, {"number": number}).scalars())
    keyed = _keyed(number, held, [checked(outcome) for outcome in outcomes])
    charged = min(used_micro, amount) if keyed else 0
    shares = share_cost(charged, list(keyed.values())) if keyed else []
    booking = Booking(number, keyed, shares, charge(connection, amount, charged, len(keyed)))
    book(connection, booking)
    if len(keyed) < len(held):
        _let_wait(connection, number)
    _note_settlement(connection, booking, amount, used_micro, text)
    return True


def fail(connection: Connection, number: int, failure: Failure, used_micro: int) -> bool:
    """Close a reservation with a failed attempt for each of its jobs."""
    held = select(job).where(job.c.reservation == number, job.c.state == State.RESERVED.value)
    jobs = [job_of(row) for row in connection.execute(held.order_by(job.c.key)).mappings()]
    outcomes = [Outcome(each, failure) for each in jobs]
    return settle(connection, number, outcomes, used_micro, "failed")


def close(connection: Connection, number: int) -> int | None:
    """Close a reservation; its amount, or None where it was closed before."""
    closing = {"number": number, "now": time.time()}
    amount = connection.execute(_CLOSE, closing).scalar_one_or_none()
    if amount is not None:
        return int(amount)
    if connection.execute(select(reservation.c.id).where(reservation.c.id == number)).first():
        return None
    raise StorageError(f"The ledger knows no reservation {number}. Is this its run folder?")


def _keyed(number: int, held: set[str], outcomes: Sequence[Outcome]) -> dict[str, Outcome]:
    keyed = {outcome.job.key(): outcome for outcome in outcomes}
    strangers = keyed.keys() - held
    if strangers or len(keyed) != len(outcomes):
        raise StorageError(
            f"The {len(outcomes)} outcomes for reservation {number} hold {len(strangers)} that it "
            f"didn't reserve and {len(outcomes) - len(keyed)} duplicates. Nothing was booked."
        )
    return keyed


def _let_wait(connection: Connection, number: int) -> None:
    """Jobs of a closed reservation that nothing came of can be bought again."""
    connection.execute(
        update(job)
        .where(job.c.reservation == number, job.c.state == State.RESERVED.value)
        .values(state=State.WAITING.value)
    )


def _note_settlement(
    connection: Connection, booking: Booking, amount: int, used: int, text: str
) -> None:
    shares = booking.shares
    paid = list(zip(booking.keyed.values(), shares, strict=True))
    labels = [share for outcome, share in paid if isinstance(outcome.result, Label)]
    failed = [share for outcome, share in paid if isinstance(outcome.result, Failure)]
    lines = [(EntryKind.RELEASE, amount - sum(shares), text)]
    if failed:
        lines.insert(0, (EntryKind.FAILED, sum(failed), f"{len(failed)} failed attempts"))
    if labels:
        lines.insert(0, (EntryKind.LABEL, sum(labels), f"{len(labels)} labels"))
    if used > amount:
        lines.append((EntryKind.OVERRUN, used - amount, "not charged"))
    note_all(connection, booking.reservation, lines)


_CLOSE = (
    update(reservation)
    .where(reservation.c.id == bindparam("number"), reservation.c.closed_at.is_(None))
    .values(closed_at=bindparam("now", type_=Double))
    .returning(reservation.c.amount_micro)
)
_HELD_KEYS = select(job.c.key).where(
    job.c.reservation == bindparam("number"), job.c.state == State.RESERVED.value
)
