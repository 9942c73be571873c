"""The audit of contents: what was settled is what lies in the inbox and in the frame store."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, func, select

from forgefield.storage.errors import StorageError
from forgefield.storage.frame_store.columns import Columns, Vocabularies
from forgefield.storage.frame_store.reading import checked_about, open_group, read_columns
from forgefield.storage.ledger.contents import content_hash, content_of
from forgefield.storage.ledger.entries import State
from forgefield.storage.ledger.queries import inbox_frames
from forgefield.storage.ledger.schema import attempt, job
from forgefield.storage.records import Method, Purpose, Tier

COLUMNS = ("seq", "ptr", "energy", "forces", "method", "molecule", "purpose")


@dataclass(frozen=True, slots=True)
class _Settled:
    """What a label is, by the ledger; `content` is None where an older ledger kept none."""

    method: Method
    molecule: str
    purpose: Purpose
    content: str | None


def broken_contents(connection: Connection, store: Path | None) -> Iterator[str]:
    """Each label that is another one than was settled, in words.

    Whether labels are missing or too many is for `broken_frames` to say.
    """
    yield from _attempts(connection)
    settled = _settled(connection)
    for frame in inbox_frames(connection, None):
        known = settled.get(frame.seq)
        content = content_of(frame.label, len(frame.job.configuration.numbers))
        if known and known.content not in {None, content}:
            yield f"Label {frame.seq} in the inbox holds other numbers than were settled."
    if store is None or not store.exists():
        return
    try:
        yield from _stored(store, settled)
    except StorageError:  # `broken_frames` has said so
        return


def _attempts(connection: Connection) -> Iterator[str]:
    """The last attempt of a done or failed job is of the job's tier and purpose."""
    last = select(func.max(attempt.c.seq)).group_by(attempt.c.job)
    query = (
        select(attempt.c.seq, job.c.key)
        .join(job, job.c.key == attempt.c.job)
        .where(
            attempt.c.seq.in_(last),
            job.c.state.in_([State.DONE.value, State.FAILED.value]),
            (attempt.c.tier != job.c.tier) | (attempt.c.purpose != job.c.purpose),
        )
        .order_by(attempt.c.seq)
    )
    for seq, key in connection.execute(query):
        yield f"Attempt {seq} is of another tier or purpose than its job {key}."


def _settled(connection: Connection) -> dict[int, _Settled]:
    query = (
        select(
            attempt.c.seq,
            attempt.c.tier,
            job.c.method,
            job.c.molecule,
            attempt.c.purpose,
            attempt.c.content,
        )
        .join(job, job.c.key == attempt.c.job)
        .where(attempt.c.done == 1)
    )
    return {
        int(seq): _Settled(Method(Tier(tier), method), molecule, Purpose(purpose), content)
        for seq, tier, method, molecule, purpose, content in connection.execute(query)
    }


def _stored(path: Path, settled: Mapping[int, _Settled]) -> Iterator[str]:
    """Complaints about the store's frames that the ledger knows; withdrawals aren't among them."""
    group = open_group(path)
    words = Vocabularies.read(checked_about(path, group.attrs.asdict()))
    columns = read_columns(group, [*COLUMNS, *(["stress"] if "stress" in group else [])])
    for row, seq in enumerate(columns["seq"].tolist()):
        known = settled.get(seq)
        if known is None:
            continue
        if known.content not in {None, _content(columns, row)}:
            yield f"Frame {seq} in the frame store holds other numbers than were settled."
        for what, found, right in (
            ("the method", words.methods[columns["method"][row]], known.method),
            ("the molecule", words.molecules[columns["molecule"][row]], known.molecule),
            ("the purpose", int(columns["purpose"][row]), int(known.purpose)),
        ):
            if found != right:
                yield f"Frame {seq} in the frame store has {what} {found}, the ledger says {right}."


def _content(columns: Columns, row: int) -> str:
    first, end = columns["ptr"][row : row + 2].tolist()
    stress = columns["stress"][row] if "stress" in columns else None
    forces = columns["forces"][first:end]
    return content_hash(columns["energy"][row], forces, stress, end - first)
