"""The runs that share a label book, and whether one that claims a label still works on it."""

import platform
import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, insert, select, update

from forgefield.storage.label_book.schema import run
from forgefield.storage.run_lock import RunLock

SILENCE_S = 900.0
"""A run of another host that the book hasn't heard of for so long is dead."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run as the book knows it: `id` (32 characters) is its ledger's, for good.

    `ledger` (a URL without password) and `spool` (a folder) tell others where its unpublished
    labels are, should it die.
    """

    id: str
    name: str
    folder: str
    host: str
    ledger: str = ""
    spool: str = ""

    @classmethod
    def here(cls, identity: str, folder: Path, ledger: str = "", spool: str = "") -> "Run":
        """The run of a folder, driven from this host."""
        return cls(identity, folder.name, str(folder.resolve()), platform.node(), ledger, spool)


def check_in(connection: Connection, who: Run) -> None:
    """Enter a run, or note that it is alive."""
    facts = {name: getattr(who, name) for name in ("name", "folder", "host", "ledger", "spool")}
    facts["seen_at"] = time.time()
    changed = connection.execute(update(run).where(run.c.id == who.id).values(facts))
    if not changed.rowcount:
        connection.execute(insert(run).values(id=who.id, **facts))


class Liveness:
    """Answers whether runs are alive, each looked at once.

    A run of this host is alive while its lock is held: the kernel drops it with the process. One
    of another host is alive, too, while it was heard of lately.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[str, bool] = {}

    def is_alive(self, identity: str) -> bool:
        """Whether the run with this id is being driven."""
        if identity not in self._known:
            found = select(run).where(run.c.id == identity)
            row = self._connection.execute(found).one()
            held = RunLock(row.folder).is_held()
            heard = time.time() - row.seen_at < SILENCE_S
            self._known[identity] = held or (heard and row.host != platform.node())
        return self._known[identity]
