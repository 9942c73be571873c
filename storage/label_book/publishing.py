"""Putting settled labels into the book, and striking those that their run took back.

The caller holds the turn. Publishing again changes nothing.
"""

import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, bindparam, delete, insert, select, update

from forgefield.storage.label_book.claiming import Found
from forgefield.storage.label_book.matching import fingerprints
from forgefield.storage.label_book.row_forms import job_columns
from forgefield.storage.label_book.runs import Run
from forgefield.storage.label_book.schema import Standing, label, run, taken
from forgefield.storage.ledger.row_forms import finite, label_columns
from forgefield.storage.pieces import parts
from forgefield.storage.settled_frames import StoredFrame


@dataclass(frozen=True, slots=True)
class Held:
    """A label as a run holds it: the key of its job there, energy (eV) and wall time (s).

    The two numbers tell this label from another one of the same job.
    """

    key: str
    energy: float
    wall_s: float

    @classmethod
    def of(cls, key: str, energy: float, wall_s: float) -> "Held":
        """With times as the book stores them."""
        return cls(key, float(energy), finite(wall_s))


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A label that a run took from the book and that was struck there; `source` published it."""

    label: Held
    source: str


def publish(
    connection: Connection, frames: Sequence[StoredFrame], who: Run, least_micro: int
) -> int:
    """Put labels into the book that cost `least_micro` or were claimed; how many are new in it."""
    keyed = {frame.job.key(): frame for frame in frames}
    known = _entries_by_job(connection, list(keyed))
    claims, new = [], []
    for key, frame in keyed.items():
        mine = [row["id"] for row in known[key] if _is_my_claim(row, who)]
        if any(_says_the_same(row, frame) for row in known[key]):
            _drop(connection, mine)
        elif mine:
            claims.append({"of": mine[0]} | _answer(frame))
        elif frame.cost_micro >= least_micro:
            new.append(frame)
    _fulfil(connection, claims)
    _insert(connection, new, who)
    return len(claims) + len(new)


def known_keys(connection: Connection, keys: Collection[str]) -> set[str]:
    """Those of these job keys that the book holds a label for."""
    found: set[str] = set()
    for part in parts(sorted(keys)):
        query = select(label.c.job).where(
            label.c.job.in_(part), label.c.standing == Standing.DONE.value
        )
        found.update(connection.execute(query).scalars())
    return found


def strike(connection: Connection, labels: Collection[Held], who: Run) -> int:
    """Nobody finds these labels any more, be they this run's or taken by it; how many."""
    wrong = set(labels)
    keys = sorted({each.key for each in wrong})
    ids = {entry for entry, held in _used(connection, keys, who) if held in wrong}
    for part in parts(sorted(ids)):
        gone = {"standing": Standing.WITHDRAWN.value, "at": time.time()}
        connection.execute(update(label).where(label.c.id.in_(part)).values(gone))
    return len(ids)


def claimed_keys(connection: Connection, who: Run) -> set[str]:
    """Keys of the jobs that a run has claimed."""
    mine = (label.c.run == who.id) & (label.c.standing == Standing.CLAIMED.value)
    return set(connection.execute(select(label.c.job).where(mine)).scalars())


def withdrawn_elsewhere(connection: Connection, who: Run) -> list[Withdrawn]:
    """Labels that a run took and that are struck by now, by whomever."""
    query = (
        select(taken.c.job, label.c.energy, label.c.wall_s, run.c.name)
        .join(label, label.c.id == taken.c.label)
        .join(run, run.c.id == label.c.run)
        .where(taken.c.run == who.id, label.c.standing == Standing.WITHDRAWN.value)
    )
    return [
        Withdrawn(Held(job, energy, wall_s), source)
        for job, energy, wall_s, source in connection.execute(query)
    ]


def _used(connection: Connection, keys: Sequence[str], who: Run) -> list[tuple[int, Held]]:
    """Entries whose labels a run published or took for these jobs."""
    answer = (label.c.energy, label.c.wall_s)
    done = label.c.standing == Standing.DONE.value
    own = select(label.c.id, label.c.job, *answer).where(label.c.run == who.id, done)
    took = select(label.c.id, taken.c.job, *answer).join(taken, taken.c.label == label.c.id)
    took = took.where(taken.c.run == who.id, done)
    return [
        (entry, Held(job, energy, wall_s))
        for part in parts(keys)
        for query in (own.where(label.c.job.in_(part)), took.where(taken.c.job.in_(part)))
        for entry, job, energy, wall_s in connection.execute(query)
    ]


def release(connection: Connection, keys: Collection[str] | None, who: Run) -> int:
    """Give up claims of a run, by default all; how many there were."""
    mine = (label.c.run == who.id) & (label.c.standing == Standing.CLAIMED.value)
    if keys is None:
        return connection.execute(delete(label).where(mine)).rowcount
    return sum(
        connection.execute(delete(label).where(mine, label.c.job.in_(part))).rowcount
        for part in parts(sorted(keys))
    )


def note_taken(connection: Connection, found: Sequence[Found], who: Run) -> None:
    """Remember that a run uses labels it found; those it doesn't book after all do no harm."""
    mine = select(taken.c.label, taken.c.job).where(taken.c.run == who.id)
    known = {
        (row.label, row.job)
        for part in parts(sorted({each.entry for each in found}))
        for row in connection.execute(mine.where(taken.c.label.in_(part)))
    }
    new = {(each.entry, each.job.key()) for each in found} - known
    rows = [{"label": e, "run": who.id, "job": k, "at": time.time()} for e, k in sorted(new)]
    if rows:
        connection.execute(insert(taken), rows)


def _entries_by_job(
    connection: Connection, keys: Sequence[str]
) -> defaultdict[str, list[RowMapping]]:
    columns = (label.c.id, label.c.job, label.c.standing, label.c.run)
    query = select(*columns, label.c.energy, label.c.wall_s).order_by(label.c.id)
    found: defaultdict[str, list[RowMapping]] = defaultdict(list)
    for part in parts(keys):
        for row in connection.execute(query.where(label.c.job.in_(part))).mappings():
            found[row["job"]].append(row)
    return found


def _is_my_claim(row: RowMapping, who: Run) -> bool:
    return bool(row["standing"] == Standing.CLAIMED.value and row["run"] == who.id)


def _says_the_same(row: RowMapping, frame: StoredFrame) -> bool:
    """A label of this job is there, or this very label was there and was withdrawn."""
    if row["standing"] == Standing.WITHDRAWN.value:
        theirs = (row["energy"], row["wall_s"])
        return theirs == (float(frame.label.energy), finite(frame.label.provenance.wall_s))
    return bool(row["standing"] == Standing.DONE.value)


def _answer(frame: StoredFrame) -> dict[str, object]:
    done = {"standing": Standing.DONE.value, "at": time.time()}
    return label_columns(frame.label, frame.cost_micro) | done


def _fulfil(connection: Connection, claims: Sequence[dict[str, object]]) -> None:
    if claims:
        connection.execute(update(label).where(label.c.id == bindparam("of")), claims)


def _insert(connection: Connection, frames: Sequence[StoredFrame], who: Run) -> None:
    prints = fingerprints([frame.job for frame in frames])
    rows = [
        job_columns(frame.job.key(), frame.job, fingerprint) | _answer(frame) | {"run": who.id}
        for frame, fingerprint in zip(frames, prints, strict=True)
    ]
    if rows:
        connection.execute(insert(label), rows)


def _drop(connection: Connection, ids: Sequence[int]) -> None:
    if ids:
        connection.execute(delete(label).where(label.c.id.in_(ids)))
