"""Labels that come in and cost nothing, inside a transaction that the caller opened."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from forgefield.storage.errors import InputError
from forgefield.storage.ledger.booking import Booking, book
from forgefield.storage.ledger.contents import content_of
from forgefield.storage.ledger.entries import EntryKind, State
from forgefield.storage.ledger.money_log import LONGEST_NOTE, charge, hold, note, storable
from forgefield.storage.ledger.outcome_checks import checked
from forgefield.storage.ledger.queries import job_states
from forgefield.storage.ledger.reserving import open_reservation
from forgefield.storage.ledger.schema import attempt
from forgefield.storage.ledger.settling import close
from forgefield.storage.pieces import parts
from forgefield.storage.records import Failure, Outcome

_BY_THIS = "by this reservation"


@dataclass(frozen=True, slots=True, eq=False)
class Late:
    """Labels that came after their reservation was closed, and were never booked.

    `waits`: more of them may be worth booking once jobs that are in flight now have ended.
    """

    outcomes: tuple[Outcome, ...]
    waits: bool


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
        key, good = outcome.job.key(), checked(outcome)
        if isinstance(good.result, Failure):
            raise InputError(f"Job {key} can't be taken over: {good.result.message} Leave it out.")
        if key in keyed:
            raise InputError(f"Job {key} is there twice. Take over one label of it.")
        keyed[key] = good
    return keyed


def late_labels(connection: Connection, number: int, outcomes: Sequence[Outcome]) -> Late:
    """What of a worker's outcomes is still worth booking; see `Ledger.late_labels`."""
    good = {each.job.key(): each for each in map(checked, outcomes)}
    states, booked = job_states(connection, list(good)), _booked(connection, number, list(good))
    new, waits = [], False
    for key, outcome in good.items():
        if isinstance(outcome.result, Failure):
            continue
        content = content_of(outcome.result, len(outcome.job.configuration.numbers))
        state = states[key].state if key in states else None
        if state is State.DONE or booked[key] & {content, _BY_THIS}:
            continue
        if state is State.RESERVED:
            waits = True
        else:
            new.append(outcome)
    return Late(tuple(new), waits)


def _booked(connection: Connection, number: int, keys: Sequence[str]) -> Mapping[str, set[str]]:
    """By job: hashes of the labels it ever had, and whether this reservation settled one."""
    found: dict[str, set[str]] = {key: set() for key in keys}
    columns = (attempt.c.job, attempt.c.reservation, attempt.c.content)
    for part in parts(keys):
        query = select(*columns).where(attempt.c.job.in_(part), attempt.c.done == 1)
        for key, reservation, content in connection.execute(query):
            found[key].add(str(content))
            if reservation == number:
                found[key].add(_BY_THIS)
    return found
