"""The ledger's audit: replay the append-only tables and compare with the state they led to."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from sqlalchemy import Connection, Executable, func, select

from forgefield.storage.ledger import queries
from forgefield.storage.ledger.content_invariants import broken_contents
from forgefield.storage.ledger.entries import Balance, Entry, EntryKind, State
from forgefield.storage.ledger.frame_invariants import broken_frames
from forgefield.storage.ledger.row_forms import job_of
from forgefield.storage.ledger.schema import attempt, budget, entry, job, reservation, withdrawal

Sums = Mapping[int | None, Counter[EntryKind]]
_MOVES = {
    EntryKind.CAP: (1, 0, 0),
    EntryKind.RESERVE: (0, 0, 1),
    EntryKind.LABEL: (0, 1, -1),
    EntryKind.FAILED: (0, 1, -1),
    EntryKind.RELEASE: (0, 0, -1),
    EntryKind.OVERRUN: (0, 0, 0),
    EntryKind.IMPORT: (0, 0, 0),
    EntryKind.WITHDRAW: (0, 0, 0),
}
_FREE = {EntryKind.IMPORT, EntryKind.WITHDRAW}


def broken_invariants(connection: Connection, store: Path | None) -> list[str]:
    """Each broken invariant in words, inside one snapshot of the ledger."""
    log = queries.entries(connection)
    sums = _by_reservation(log)
    return [
        *_replay(log, queries.balance(connection)),
        *_reservations(connection, sums),
        *_attempts(connection, sums),
        *_free_labels(connection),
        *_numbers(connection),
        *_jobs(connection),
        *_contents(connection),
        *_withdrawals(connection),
        *broken_frames(connection, store),
        *broken_contents(connection, store),
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
        if line.amount_micro and line.kind in _FREE:
            yield f"Entry {line.id} ({line.kind}) has the amount {line.amount_micro}, not 0."
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


def _free_labels(connection: Connection) -> Iterator[str]:
    """Labels that cost nothing came by an `IMPORT` line, and nothing else did."""
    free = select(attempt.c.reservation).where(attempt.c.source.is_not(None)).distinct()
    noted = select(entry.c.reservation).where(entry.c.kind == EntryKind.IMPORT.value).distinct()
    came, said = set(connection.execute(free).scalars()), set(connection.execute(noted).scalars())
    for number in sorted(came ^ said, key=str):
        yield (
            f"Reservation {number} brought imported labels: {number in came}; logged as an import: "
            f"{number in said}."
        )


def _numbers(connection: Connection) -> Iterator[str]:
    """Each sequence number belongs to one attempt or withdrawal, without a gap."""
    given = int(connection.execute(select(budget.c.next_seq)).scalar_one()) - 1
    taken = Counter(connection.execute(select(attempt.c.seq)).scalars())
    taken.update(connection.execute(select(withdrawal.c.seq)).scalars())
    if taken != Counter(range(1, given + 1)):
        strange = sorted((taken - Counter(range(1, given + 1))).keys())
        missing = sorted(set(range(1, given + 1)) - taken.keys())
        yield (
            f"Of the sequence numbers 1 to {given}, {len(missing)} belong to nothing "
            f"{missing[:5]} and {len(strange)} are used that weren't given out {strange[:5]}."
        )


def _jobs(connection: Connection) -> Iterator[str]:
    tried = select(attempt.c.job, func.count()).group_by(attempt.c.job)
    settled = select(attempt.c.job, func.sum(attempt.c.done)).group_by(attempt.c.job)
    taken_back = select(withdrawal.c.job, func.count()).group_by(withdrawal.c.job)
    tries, done = _count(connection, tried), _count(connection, settled)
    withdrawn = _count(connection, taken_back)
    for key, state, attempts in connection.execute(select(job.c.key, job.c.state, job.c.attempts)):
        if attempts != tries[key]:
            yield f"Job {key} counts {attempts} attempts and has {tries[key]}."
        if done[key] - withdrawn[key] != (1 if state == State.DONE else 0):
            yield (
                f"Job {key} is {state}, was settled {done[key]} times and withdrawn "
                f"{withdrawn[key]} times."
            )
    for key in tries.keys() - set(connection.execute(select(job.c.key)).scalars()):
        yield f"Job {key} has attempts and is unknown."


def _count(connection: Connection, grouped: Executable) -> Counter[str]:
    return Counter({str(row[0]): int(row[1]) for row in connection.execute(grouped)})


def _contents(connection: Connection) -> Iterator[str]:
    """Geometry and method of a job still give its key."""
    for row in connection.execute(select(job)).mappings():
        found = job_of(row)
        if found.key() != row["key"] or found.configuration.key() != row["geometry"]:
            yield f"Job {row['key']} holds another geometry or method than its key says."


def _withdrawals(connection: Connection) -> Iterator[str]:
    """Each withdrawal takes back a label of its job, and stands in the money log."""
    query = select(
        withdrawal.c.seq, withdrawal.c.job, attempt.c.job, attempt.c.done, entry.c.kind
    ).select_from(
        withdrawal.outerjoin(attempt, attempt.c.seq == withdrawal.c.attempt).outerjoin(
            entry, entry.c.id == withdrawal.c.entry
        )
    )
    for seq, key, settled, done, kind in connection.execute(query):
        if settled != key or not done:
            yield f"Withdrawal {seq} takes back what is no label of job {key}."
        if kind != EntryKind.WITHDRAW.value:
            yield f"Withdrawal {seq} is not in the money log."
    logged = select(entry.c.id).where(entry.c.kind == EntryKind.WITHDRAW.value)
    noted = set(connection.execute(logged).scalars())
    for line in sorted(noted - set(connection.execute(select(withdrawal.c.entry)).scalars())):
        yield f"Entry {line} is of withdrawals that aren't there."
