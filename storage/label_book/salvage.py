"""What a dead run paid for and could not publish: labels in its inbox, results in its spool.

A run publishes before it packs, so nothing else can be missing. The run itself will book and
publish these again when it is next opened, which changes nothing.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from sqlalchemy import Connection, select

from forgefield.storage.errors import InputError, StorageError
from forgefield.storage.label_book.publishing import publish
from forgefield.storage.label_book.runs import Run
from forgefield.storage.label_book.schema import label, run
from forgefield.storage.ledger import Ledger
from forgefield.storage.ledger.spool import Spool, read_spools
from forgefield.storage.records import Label
from forgefield.storage.settled_frames import StoredFrame


def publish_left_behind(connection: Connection, claims: Sequence[int]) -> int:
    """Publish the labels behind `claims`, entries of dead runs, for those runs; how many."""
    held = select(label.c.run, label.c.job).where(label.c.id.in_(claims))
    keys: defaultdict[str, set[str]] = defaultdict(set)
    for identity, key in connection.execute(held):
        keys[identity].add(key)
    published = 0
    for row in connection.execute(select(run).where(run.c.id.in_(sorted(keys)))).all():
        dead = Run(row.id, row.name, row.folder, row.host, row.ledger, row.spool)
        published += publish(connection, left_behind(dead, keys[dead.id]), dead, 0)
    return published


def left_behind(dead: Run, keys: Collection[str]) -> list[StoredFrame]:
    """Labels of the jobs `keys` that a run has and didn't publish, as far as it can be read."""
    spooled = (_spooled(spool) for spool in read_spools(dead.spool)) if dead.spool else ()
    found = {frame.job.key(): frame for frames in spooled for frame in frames}
    found |= {frame.job.key(): frame for frame in _settled(dead, keys)}
    return [frame for key, frame in found.items() if key in keys]


def _settled(dead: Run, keys: Collection[str]) -> tuple[StoredFrame, ...]:
    if not dead.ledger or not Path(dead.folder).exists():
        return ()
    try:
        with Ledger(dead.ledger, read_only=True) as ledger:
            return ledger.inbox_of(2**62, keys)
    except (InputError, StorageError):  # gone, or on a server that this run may not enter
        return ()


def _spooled(spool: Spool) -> Iterator[StoredFrame]:
    share = spool.used_micro // max(1, len(spool.outcomes))
    for outcome in spool.outcomes:
        if isinstance(outcome.result, Label):
            yield StoredFrame(0, outcome.job, outcome.result, share)
