"""The runs that share a label book, and whether one that claims a label still works on it."""

import platform
import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, insert, select, update

from forgefield.storage.errors import InputError
from forgefield.storage.label_book.schema import run
from forgefield.storage.run_lock import RunLock

SILENCE_S = 900.0
"""A run that the book hasn't heard of for so long is dead, unless it says otherwise."""


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


def check_out(connection: Connection, who: Run) -> None:
    """Note that a run has ended: nobody need wait for it, and another host may have the book."""
    connection.execute(update(run).where(run.c.id == who.id).values(seen_at=0.0))


def refuse_other_hosts(connection: Connection, who: Run, silence_s: float) -> None:
    """Raise `InputError` where a run of another host uses the same book, which is a file."""
    heard = run.c.seen_at > time.time() - silence_s
    others = select(run).where(run.c.host != who.host, run.c.id != who.id, heard)
    other = connection.execute(others).first()
    if other is not None:
        raise InputError(
            f"Run {other.name} on {other.host} uses this label book, a SQLite file, which several "
            "hosts can't share safely. Give all runs one in PostgreSQL (--labels "
            "postgresql://user@host/database), or go without one (--no-labels)."
        )


class Liveness:
    """Answers whether runs are alive, each looked at once.

    A run is alive while it was heard of in the last `silence_s`; one of this host only while its
    lock is held, as far as that can be known: the kernel drops it with the process.
    """

    def __init__(self, connection: Connection, silence_s: float = SILENCE_S) -> None:
        self._connection, self._silence_s = connection, silence_s
        self._known: dict[str, bool] = {}

    def is_alive(self, identity: str) -> bool:
        """Whether the run with this id is being driven."""
        if identity not in self._known:
            found = select(run).where(run.c.id == identity)
            row = self._connection.execute(found).one()
            heard = time.time() - row.seen_at < self._silence_s
            gone = row.host == platform.node() and RunLock(row.folder).held_if_known() is False
            self._known[identity] = heard and not gone
        return self._known[identity]
