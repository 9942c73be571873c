"""The lock of a ledger's only writer, held for as long as it lives.

Beside a SQLite file lies a locked file; on PostgreSQL a connection of its own holds an advisory
lock, which the server drops with the connection.
"""

import hashlib
from typing import Self

from sqlalchemy import URL, Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from forgefield.storage.errors import RunBusy
from forgefield.storage.ledger import addresses
from forgefield.storage.ledger.database import open_engine
from forgefield.storage.ledger.database_errors import explained
from forgefield.storage.run_lock import FileLock

LOCK_SUFFIX = ".lock"
_NOTICE_DEATH = (
    "SET tcp_keepalives_idle = 30",
    "SET tcp_keepalives_interval = 10",
    "SET tcp_keepalives_count = 3",
    "SET idle_session_timeout = 0",
)
"""A holder whose machine lost its power is forgotten after a minute, not after two hours."""


class WriterLock:
    """Whoever holds it is the only one to write to the ledger at `url`."""

    def __init__(self, url: str) -> None:
        self._url = addresses.parse(url)
        self._file: FileLock | None = None
        self._engine: Engine | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self) -> None:
        """Take the lock at once; raises `RunBusy`, or `StorageError` without a database."""
        if addresses.is_local(self._url):
            file = FileLock(f"{self._url.database}{LOCK_SUFFIX}")
            file.acquire()
            self._file = file
            return
        try:
            self._connect()
        except DBAPIError as error:
            self.release()
            raise explained(self._url, error) from error
        except BaseException:
            self.release()
            raise

    def renew(self) -> None:
        """Take the lock again where the server dropped it; raises `RunBusy` if another has it.

        A server that is away is left alone until the next time.
        """
        if self._engine is None:
            return
        try:
            if self._connection is not None:
                self._connection.execute(text("SELECT 1"))
                return
        except DBAPIError:
            self._hang_up()
        try:
            self._connect()
        except DBAPIError:
            self._hang_up()

    def release(self) -> None:
        """Give the lock back."""
        if self._file is not None:
            self._file.release()
        self._hang_up()
        if self._engine is not None:
            self._engine.dispose()
        self._file = self._engine = None

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
        self._connection = None

    def _connect(self) -> None:
        if self._engine is None:
            self._engine = open_engine(self._url, read_only=False)
        self._connection = connection = self._engine.connect()
        connection.execution_options(isolation_level="AUTOCOMMIT")
        _set_timeouts(connection)
        taken = text("SELECT pg_try_advisory_lock(:number)")
        if not connection.execute(taken, {"number": _number(self._url)}).scalar_one():
            self._hang_up()
            raise RunBusy(
                f"Another process writes to the ledger {addresses.shown(self._url)}. Wait, or "
                "stop it."
            )


def _set_timeouts(connection: Connection) -> None:
    for setting in _NOTICE_DEATH:
        try:
            connection.execute(text(setting))
        except DBAPIError as error:
            if error.connection_invalidated:
                raise


def _number(url: URL) -> int:
    """The lock's number in its database: one for each schema."""
    name = f"forgefield ledger {addresses.schema_of(url)}".encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big", signed=True)
