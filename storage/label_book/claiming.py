"""The transaction that decides about jobs: found, granted or busy. Its caller holds the turn."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, insert, select

from forgefield.storage.label_book.lookup import Entry, Match, Shelf, rows_of, shelf_for
from forgefield.storage.label_book.matching import Fingerprint, fingerprints, turned
from forgefield.storage.label_book.row_forms import job_columns
from forgefield.storage.label_book.runs import Liveness, Run, check_in
from forgefield.storage.label_book.schema import Standing, label, run
from forgefield.storage.ledger.row_forms import label_of
from forgefield.storage.records import Job, Label, Outcome


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A label that answers `job`, in the job's own frame; it cost `cost_micro` in run `source`."""

    job: Job
    label: Label
    cost_micro: int
    entry: int
    source: str
    source_run: str

    @property
    def outcome(self) -> Outcome:
        """What the ledger books."""
        return Outcome(self.job, self.label)


@dataclass(frozen=True, slots=True, eq=False)
class Claims:
    """What became of jobs: labels that exist, jobs to buy now, jobs to ask for again later.

    `holders` names the runs that are buying the `busy` ones.
    """

    found: tuple[Found, ...] = ()
    granted: tuple[Job, ...] = ()
    busy: tuple[Job, ...] = ()
    holders: tuple[str, ...] = ()


Salvage = Callable[[Connection, Sequence[int]], int]


@dataclass(slots=True)
class _Decision:
    """Jobs as they are sorted."""

    found: list[tuple[Job, Match]] = field(default_factory=list)
    granted: list[Job] = field(default_factory=list)
    busy: list[Job] = field(default_factory=list)
    holders: list[str] = field(default_factory=list)
    new: list[Entry] = field(default_factory=list)
    new_jobs: list[Job] = field(default_factory=list)
    dead: list[int] = field(default_factory=list)

    def wait(self, job: Job, holder: str) -> None:
        """Somebody is buying it."""
        self.busy.append(job)
        self.holders.append(holder)


def claim(
    connection: Connection, jobs: Sequence[Job], who: Run, alive: Liveness, salvage: Salvage
) -> Claims:
    """Sort jobs and claim those that nobody has; see the module `book`.

    Before claims of dead runs pass on, `salvage` publishes what labels they left behind.
    """
    check_in(connection, who)
    decision = _decided(connection, jobs, who, alive)
    if decision.dead and salvage(connection, decision.dead):
        decision = _decided(connection, jobs, who, alive)
    for entry in decision.dead:
        connection.execute(delete(label).where(label.c.id == entry))
    _put_claims(connection, decision, who)
    return _claims(connection, decision)


def look(connection: Connection, jobs: Sequence[Job], who: Run, alive: Liveness) -> Claims:
    """What `claim` would answer; nothing is claimed."""
    return _claims(connection, _decided(connection, jobs, who, alive))


def _decided(connection: Connection, jobs: Sequence[Job], who: Run, alive: Liveness) -> _Decision:
    wanted = fingerprints(jobs)
    shelf, decision = shelf_for(connection, wanted), _Decision()
    for job, fingerprint in zip(jobs, wanted, strict=True):
        _decide(job, fingerprint, who, shelf, alive, decision)
    return decision


def _claims(connection: Connection, decision: _Decision) -> Claims:
    names = {row.id: row.name for row in connection.execute(select(run.c.id, run.c.name))}
    found = _found_labels(connection, decision.found, names)
    holders = tuple(names[identity] for identity in decision.holders)
    return Claims(found, tuple(decision.granted), tuple(decision.busy), holders)


def _found_labels(
    connection: Connection, matches: Sequence[tuple[Job, Match]], names: Mapping[str, str]
) -> tuple[Found, ...]:
    """The labels behind matches, turned into the asking frames."""
    rows = rows_of(connection, sorted({match.entry.id for _, match in matches}))
    return tuple(
        Found(
            job=job,
            label=turned(label_of(rows[match.entry.id]), match.rotation),
            cost_micro=rows[match.entry.id]["cost_micro"],
            entry=match.entry.id,
            source=names[match.entry.run],
            source_run=match.entry.run,
        )
        for job, match in matches
    )


def _decide(
    job: Job,
    fingerprint: Fingerprint,
    who: Run,
    shelf: Shelf,
    alive: Liveness,
    decision: _Decision,
) -> None:
    match = shelf.match(job, fingerprint)
    if match is None:
        _grant(job, fingerprint, who, shelf, decision)
    elif match.entry.standing is Standing.DONE:
        decision.found.append((job, match))
    elif match.entry.run == who.id:
        mine_before = match.entry.id and match.entry.job == job.key()
        if mine_before:
            decision.granted.append(job)
        else:
            decision.wait(job, who.id)
    elif alive.is_alive(match.entry.run):
        decision.wait(job, match.entry.run)
    else:
        shelf.drop(match.entry)
        decision.dead.append(match.entry.id)
        _grant(job, fingerprint, who, shelf, decision)


def _grant(job: Job, fingerprint: Fingerprint, who: Run, shelf: Shelf, decision: _Decision) -> None:
    entry = Entry(0, job.key(), who.id, Standing.CLAIMED, fingerprint, job.configuration)
    shelf.put(entry)
    decision.new.append(entry)
    decision.new_jobs.append(job)
    decision.granted.append(job)


def _put_claims(connection: Connection, decision: _Decision, who: Run) -> None:
    standing = {"standing": Standing.CLAIMED.value, "run": who.id, "at": time.time()}
    rows = [
        job_columns(entry.job, job, entry.fingerprint) | standing
        for job, entry in zip(decision.new_jobs, decision.new, strict=True)
    ]
    if rows:
        connection.execute(insert(label), rows)
