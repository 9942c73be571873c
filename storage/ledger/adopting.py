"""Labels that come in and cost nothing, inside a transaction that the caller opened."""

from collections.abc import Sequence

from sqlalchemy import Connection

from forgefield.storage.errors import InputError
from forgefield.storage.ledger.booking import Booking, book
from forgefield.storage.ledger.entries import EntryKind
from forgefield.storage.ledger.money_log import LONGEST_NOTE, charge, hold, note, storable
from forgefield.storage.ledger.outcome_checks import checked
from forgefield.storage.ledger.reserving import open_reservation
from forgefield.storage.ledger.settling import close
from forgefield.storage.records import Failure, Outcome


def adopt(connection: Connection, keyed: dict[str, Outcome], source: str) -> int:
    """Book labels as done at no cost; see `Ledger.adopt`."""
    hold(connection, 0)
    jobs = {key: outcome.job for key, outcome in keyed.items()}
    number = open_reservation(connection, jobs, 0)
    close(connection, number)
    first = charge(connection, 0, 0, len(keyed))
    origin = storable(source, LONGEST_NOTE)
    book(connection, Booking(number, keyed, [0] * len(keyed), first, origin))
    note(connection, EntryKind.IMPORT, 0, f"{len(keyed)} labels from {source}", number)
    return len(keyed)


def adoptable(outcomes: Sequence[Outcome]) -> dict[str, Outcome]:
    """Labels by job key; raises `InputError` for none, failures, broken labels or duplicates."""
    if not outcomes:
        raise InputError("There are no labels to take over.")
    keyed: dict[str, Outcome] = {}
    for outcome in outcomes:
        key, result = outcome.job.key(), checked(outcome).result
        if isinstance(result, Failure):
            raise InputError(f"Job {key} can't be taken over: {result.message} Leave it out.")
        if key in keyed:
            raise InputError(f"Job {key} is there twice. Take over one label of it.")
        keyed[key] = outcome
    return keyed
