"""Taking settled labels back, inside a transaction that the caller opened.

The money stays spent, the frame stays in the store, and nobody reads it any more; its job may be
bought again. A withdrawal has a sequence number of its own, for the row that tells the store.
"""

import time
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, RowMapping, bindparam, insert, select, update

from forgefield.storage.errors import InputError
from forgefield.storage.ledger.entries import EntryKind, State, Withdrawal
from forgefield.storage.ledger.money_log import LONGEST_NOTE, charge, note, storable
from forgefield.storage.ledger.schema import attempt, job, withdrawal
from forgefield.storage.pieces import parts

LONGEST_SEQ = 18


def withdraw(connection: Connection, keys: Sequence[str], reason: str) -> int:
    """Take the labels of these jobs back; see `Ledger.withdraw`."""
    first = charge(connection, 0, 0, len(keys))
    labels = _standing_labels(connection, keys)
    missing = [key for key in keys if key not in labels]
    if missing:
        raise InputError(
            f"Job {missing[0]} has no label to withdraw: it was never settled, or is withdrawn "
            "already. `platform export` gives the keys of a run's frames."
        )
    line = note(connection, EntryKind.WITHDRAW, 0, f"{len(keys)} labels: {reason}", None)
    common = {"reason": storable(reason, LONGEST_NOTE), "entry": line, "at": time.time()}
    rows = [
        {"seq": first + place, "attempt": labels[key], "job": key, "packed": 0} | common
        for place, key in enumerate(keys)
    ]
    connection.execute(insert(withdrawal), rows)
    again = update(job).where(job.c.key == bindparam("of")).values(state=State.WAITING.value)
    connection.execute(again, [{"of": key} for key in keys])
    return len(keys)


def keys_of(connection: Connection, names: Iterable[str]) -> list[str]:
    """Job keys by what people write: keys, or sequence numbers of labels that stand."""
    keys = []
    for name in names:
        if not (name.isdecimal() and len(name) <= LONGEST_SEQ):
            keys.append(name.lower())
            continue
        keys.append(_key_of(connection, int(name)))
    return keys


def _key_of(connection: Connection, seq: int) -> str:
    """The job of a label that stands: a job bought again has another label by now."""
    query = (
        select(attempt.c.job, withdrawal.c.seq)
        .outerjoin(withdrawal, withdrawal.c.attempt == attempt.c.seq)
        .where(attempt.c.seq == seq, attempt.c.done == 1)
    )
    found = connection.execute(query).one_or_none()
    if found is None:
        raise InputError(f"The ledger has no label with the sequence number {seq}.")
    if found[1] is not None:
        raise InputError(
            f"Label {seq} was withdrawn already, by number {found[1]}. Nothing was changed; "
            "leave it out."
        )
    return str(found[0])


def withdrawals(connection: Connection, *, unpacked_only: bool) -> tuple[Withdrawal, ...]:
    """Withdrawals by their own numbers."""
    query = select(withdrawal).order_by(withdrawal.c.seq)
    if unpacked_only:
        query = query.where(withdrawal.c.packed == 0)
    return tuple(_withdrawal(row) for row in connection.execute(query).mappings())


def mark_packed(connection: Connection, seqs: Sequence[int]) -> None:
    """Remember that the frame store knows of these withdrawals."""
    for part in parts(seqs):
        chosen = update(withdrawal).where(withdrawal.c.seq.in_(part))
        connection.execute(chosen.values(packed=1))


def _standing_labels(connection: Connection, keys: Sequence[str]) -> Mapping[str, int]:
    """Sequence number of the label that each done job stands on."""
    found: dict[str, int] = {}
    taken_back = select(withdrawal.c.attempt)
    for part in parts(keys):
        query = select(attempt.c.job, attempt.c.seq).where(
            attempt.c.job.in_(part), attempt.c.done == 1, attempt.c.seq.not_in(taken_back)
        )
        found |= {str(key): int(seq) for key, seq in connection.execute(query)}
    return found


def _withdrawal(row: RowMapping) -> Withdrawal:
    return Withdrawal(
        seq=row["seq"],
        frame_seq=row["attempt"],
        job_key=row["job"],
        reason=row["reason"],
        at=row["at"],
        packed=bool(row["packed"]),
    )
