"""The audit of what was bought: each label once, in the inbox or in the frame store, as paid."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqlalchemy import Connection, Executable, select

from forgefield.storage.errors import StorageError
from forgefield.storage.frame_store.reading import open_group, read_columns
from forgefield.storage.frame_store.verifying import verify_store
from forgefield.storage.frames import hex_keys
from forgefield.storage.ledger.schema import attempt, budget, inbox, withdrawal
from forgefield.storage.units import MICRO


@dataclass(frozen=True, slots=True)
class _Label:
    """What the ledger knows of a frame: its job and what it cost."""

    key: str
    cost_micro: int


@dataclass(frozen=True, slots=True)
class _Stored:
    """Rows of the store by sequence number: frames, withdrawals (the frame's own), doubles."""

    labels: Mapping[int, _Label]
    withdraws: Mapping[int, int]
    doubles: int


def broken_frames(connection: Connection, store: Path | None) -> Iterator[str]:
    """Each broken invariant about labels and where they lie, in words.

    Frames may be packed while this runs: what is in the inbox or not yet marked as packed may be
    in the store as well.
    """
    done = select(attempt.c.seq, attempt.c.job, attempt.c.used_micro).where(attempt.c.done == 1)
    labels = _labels(connection, done)
    waiting = _labels(connection, select(inbox.c.seq, inbox.c.job, inbox.c.cost_micro))
    yield from _strangers("inbox", waiting, labels)
    if store is None:
        return
    if store.exists():
        yield from (f"The frame store: {line}." for line in verify_store(store))
    try:
        stored = _read_store(store, _last_seq(connection))
    except StorageError as error:
        yield str(error)
        return
    if stored.doubles:
        yield f"The frame store holds {stored.doubles} frames twice."
    yield from _strangers("frame store", stored.labels, labels)
    for seq in sorted(labels.keys() - stored.labels.keys() - waiting.keys()):
        yield f"Label {seq} of job {labels[seq].key} is neither in the store nor in the inbox."
    yield from _withdrawals(connection, stored)


def _labels(connection: Connection, query: Executable) -> dict[int, _Label]:
    return {int(r[0]): _Label(str(r[1]), int(r[2])) for r in connection.execute(query)}


def _last_seq(connection: Connection) -> int:
    return int(connection.execute(select(budget.c.next_seq)).scalar_one()) - 1


def _read_store(path: Path, last: int) -> _Stored:
    """Rows that the ledger of this snapshot gave a number to."""
    if not path.exists():
        return _Stored({}, {}, 0)
    group = open_group(path)
    there = [name for name in ("seq", "key", "cost_micro", "withdraws") if name in group]
    columns = read_columns(group, there)
    seqs = columns["seq"]
    withdraws = columns.get("withdraws", np.full(len(seqs), -1))
    known = seqs <= last
    frames, back = known & (withdraws < 0), known & (withdraws >= 0)
    keys, costs = hex_keys(columns["key"][frames]), columns["cost_micro"][frames].tolist()
    labels = {
        seq: _Label(key, cost)
        for seq, key, cost in zip(seqs[frames].tolist(), keys, costs, strict=True)
    }
    taken = dict(zip(seqs[back].tolist(), withdraws[back].tolist(), strict=True))
    return _Stored(labels, taken, int(known.sum()) - len(labels) - len(taken))


def _strangers(
    where: str, frames: Mapping[int, _Label], labels: Mapping[int, _Label]
) -> Iterator[str]:
    for seq, found in frames.items():
        known = labels.get(seq)
        if known is None or known.key != found.key:
            yield f"Frame {seq} of job {found.key} in the {where} was never settled."
        elif known.cost_micro != found.cost_micro:
            yield (
                f"Frame {seq} in the {where} cost {found.cost_micro / MICRO:g} core-seconds, "
                f"its attempt {known.cost_micro / MICRO:g}."
            )


def _withdrawals(connection: Connection, stored: _Stored) -> Iterator[str]:
    known = {row.seq: row for row in connection.execute(select(withdrawal))}
    for seq, frame in stored.withdraws.items():
        if seq not in known or known[seq].attempt != frame:
            yield f"The frame store withdraws frame {frame} by row {seq}, the ledger does not."
    for seq, row in known.items():
        if row.packed and seq not in stored.withdraws:
            yield f"Withdrawal {seq} of frame {row.attempt} is missing from the frame store."
