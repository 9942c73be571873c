"""The ledger's audit: replay the append-only tables and compare with the state they led to."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from sqlalchemy import Connection, func, select

from forgefield.storage.frame_store.reading import stored_rows
from forgefield.storage.frames import hex_keys
from forgefield.storage.ledger import queries
from forgefield.storage.ledger.entries import Balance, Entry, EntryKind, State
from forgefield.storage.ledger.schema import attempt, inbox, job, reservation

Sums = Mapping[int | None, Counter[EntryKind]]
_MOVES = {
    EntryKind.CAP: (1, 0, 0),
    EntryKind.RESERVE: (0, 0, 1),
    EntryKind.LABEL: (0, 1, -1),
    EntryKind.FAILED: (0, 1, -1),
    EntryKind.RELEASE: (0, 0, -1),
    EntryKind.OVERRUN: (0, 0, 0),
}


def broken_invariants(connection: Connection, store: Path | None) -> list[str]:
    """Each broken invariant in words, inside one snapshot of the ledger."""
    log = queries.entries(connection)
    sums = _by_reservation(log)
    return [
        *_replay(log, queries.balance(connection)),
        *_reservations(connection, sums),
        *_attempts(connection, sums),
        *_jobs(connection),
        *_frames(connection, store),
    ]


def _replay(log: tuple[Entry, ...], now: Balance) -> Iterator[str]:
    cap = spent = reserved = 0
    for line in log:
        to_cap, to_spent, to_reserved = _MOVES[line.kind]
        cap += to_cap * line.amount_micro
        spent += to_spent * line.amount_micro
        reserved += to_reserved * line.amount_micro
        if spent + reserved > cap or min(spent, reserved) < 0:
            yield f"After entry {line.id}: spent {spent} + reserved {reserved}, cap {cap}."
        if line.amount_micro < 0 and line.kind is not EntryKind.CAP:
            yield f"Entry {line.id} ({line.kind}) has the amount {line.amount_micro}."
    replayed = Balance(cap, spent, reserved)
    if replayed != now:
        yield f"The entries replay to {replayed}, the budget says {now}."


def _by_reservation(log: tuple[Entry, ...]) -> Sums:
    sums: dict[int | None, Counter[EntryKind]] = defaultdict(Counter)
    for line in log:
        sums[line.reservation][line.kind] += line.amount_micro
    return sums


def _reservations(connection: Connection, sums: Sums) -> Iterator[str]:
    held = select(job.c.reservation).where(job.c.state == State.RESERVED.value).distinct()
    holding = set(connection.execute(held).scalars())
    for row in connection.execute(select(reservation)):
        moved = sums.get(row.id, Counter())
        out = moved[EntryKind.LABEL] + moved[EntryKind.FAILED] + moved[EntryKind.RELEASE]
        is_open = row.closed_at is None
        if moved[EntryKind.RESERVE] != row.amount_micro:
            yield f"Reservation {row.id} of {row.amount_micro} was logged as another amount."
        if out != (0 if is_open else row.amount_micro):
            yield f"Reservation {row.id} of {row.amount_micro} let {out} go, open: {is_open}."
        if is_open != (row.id in holding):
            yield f"Reservation {row.id} is open: {is_open}, but holds jobs: {not is_open}."


def _attempts(connection: Connection, sums: Sums) -> Iterator[str]:
    charged: dict[int | None, Counter[EntryKind]] = defaultdict(Counter)
    query = select(attempt.c.reservation, attempt.c.done, func.sum(attempt.c.used_micro))
    grouped = query.group_by(attempt.c.reservation, attempt.c.done)
    for number, done, used in connection.execute(grouped):
        charged[number][EntryKind.LABEL if done else EntryKind.FAILED] = int(used)
    for number in {*charged, *sums}:
        for kind in (EntryKind.LABEL, EntryKind.FAILED):
            tried, logged = charged[number][kind], sums.get(number, Counter())[kind]
            if tried != logged:
                yield f"Reservation {number}: attempts cost {tried}, {kind} entries say {logged}."


def _jobs(connection: Connection) -> Iterator[str]:
    counts = (
        select(
            attempt.c.job.label("key"),
            func.count().label("tries"),
            func.sum(attempt.c.done).label("done"),
        )
        .group_by(attempt.c.job)
        .subquery()
    )
    query = select(
        job.c.key,
        job.c.state,
        job.c.attempts,
        func.coalesce(counts.c.tries, 0),
        func.coalesce(counts.c.done, 0),
    ).outerjoin(counts, counts.c.key == job.c.key)
    for key, state, attempts, tries, done in connection.execute(query):
        if attempts != tries:
            yield f"Job {key} counts {attempts} attempts and has {tries}."
        if done != (1 if state == State.DONE else 0):
            yield f"Job {key} is {state} and was settled {done} times."


def _frames(connection: Connection, store: Path | None) -> Iterator[str]:
    done = select(attempt.c.seq, attempt.c.job).where(attempt.c.done == 1)
    labels = {int(seq): str(key) for seq, key in connection.execute(done)}
    waiting = {int(q): str(k) for q, k in connection.execute(select(inbox.c.seq, inbox.c.job))}
    yield from _strangers("inbox", waiting, labels)
    if store is None:
        return
    seqs, keys = stored_rows(store)
    last = int(connection.execute(select(func.max(attempt.c.seq))).scalar_one() or 0)
    known = seqs <= last  # later ones were packed after this snapshot of the ledger
    stored = dict(zip(seqs[known].tolist(), hex_keys(keys[known]), strict=True))
    if len(stored) != int(known.sum()):
        yield f"The frame store holds {int(known.sum()) - len(stored)} frames twice."
    yield from _strangers("frame store", stored, labels)
    for seq in sorted(labels.keys() - stored.keys() - waiting.keys()):
        yield f"Label {seq} of job {labels[seq]} is neither in the store nor in the inbox."


def _strangers(where: str, frames: Mapping[int, str], labels: Mapping[int, str]) -> Iterator[str]:
    for seq, key in frames.items():
        if labels.get(seq) != key:
            yield f"Frame {seq} of job {key} in the {where} was never settled."
