"""Booking what came of jobs: attempts, labels into the inbox, the jobs' new states.

Inside a transaction that holds the budget; who calls it moves the money.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, insert, update

from forgefield.storage.ledger.contents import content_of
from forgefield.storage.ledger.entries import State
from forgefield.storage.ledger.row_forms import inbox_row
from forgefield.storage.ledger.schema import attempt, inbox, job
from forgefield.storage.records import Failure, Label, Outcome


@dataclass(frozen=True, slots=True, eq=False)
class Booking:
    """Outcomes of a reservation by job key, and what each pays.

    `first` is the sequence number of the first; `source` says where labels came from that cost
    nothing.
    """

    reservation: int
    keyed: Mapping[str, Outcome]
    shares: Sequence[int]
    first: int
    source: str | None = None


def book(connection: Connection, booking: Booking) -> None:
    """Write attempts and labels, and mark the jobs as done or failed."""
    if not booking.keyed:
        return
    connection.execute(_ADD_ATTEMPTS, _attempt_rows(booking))
    labels = [
        inbox_row(booking.first + place, key, outcome.result, booking.shares[place])
        for place, (key, outcome) in enumerate(booking.keyed.items())
        if isinstance(outcome.result, Label)
    ]
    if labels:
        connection.execute(_ADD_TO_INBOX, labels)
    connection.execute(_MARK, [_mark(key, outcome) for key, outcome in booking.keyed.items()])


def _attempt_rows(booking: Booking) -> list[dict[str, object]]:
    now = time.time()
    return [
        {
            "seq": booking.first + place,
            "job": key,
            "reservation": booking.reservation,
            "tier": outcome.job.method.tier.value,
            "purpose": int(outcome.job.purpose),
            "used_micro": booking.shares[place],
            "at": now,
            "source": booking.source,
        }
        | _verdict(outcome)
        for place, (key, outcome) in enumerate(booking.keyed.items())
    ]


def _verdict(outcome: Outcome) -> dict[str, int | str | None]:
    if isinstance(outcome.result, Failure):
        kind, message = outcome.result.kind, outcome.result.message
        return {"done": 0, "failure_kind": kind, "failure_message": message, "content": None}
    content = content_of(outcome.result, len(outcome.job.configuration.numbers))
    return {"done": 1, "failure_kind": None, "failure_message": None, "content": content}


_ADD_ATTEMPTS, _ADD_TO_INBOX = insert(attempt), insert(inbox)
_MARK = (
    update(job)
    .where(job.c.key == bindparam("of"))
    .values(
        state=bindparam("to"),
        attempts=job.c.attempts + 1,
        failure_kind=bindparam("kind"),
        failure_message=bindparam("message"),
    )
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
