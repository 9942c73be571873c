"""The ledger's database: connections, and transactions that happen once or not at all.

SQLite runs in WAL mode with synchronous=FULL, so a commit that returned survives a power cut,
and readers never wait for the writer. Writers begin IMMEDIATE: they queue at the start of their
transaction, not in the middle of it. On PostgreSQL a transaction that the server aborted, or whose
connection was lost before its commit was sent, is done again. Where the answer to a commit is
lost, the receipt that each transaction leaves tells whether it took place.
"""

import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from forgefield.storage.errors import InputError, MissingProgram
from forgefield.storage.ledger import addresses
from forgefield.storage.ledger.database_errors import explained, is_lost, may_be_done_again
from forgefield.storage.ledger.receipts import leave_receipt, receipt_of

BUSY_TIMEOUT_S = 60
RECONNECT_S = 60.0
_REMOTE = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
Result = TypeVar("Result")
Work = Callable[[Connection], Result]


class Database:
    """Transactions on the database of one ledger, or of what else `what` says, in messages.

    `what` it is, messages say. `reconnect_s`: how long a server that went away may stay away. What
    `work` does is done again from its beginning where that is safe, so it must do nothing but talk
    to its connection.
    """

    def __init__(self, url: str, *, read_only: bool, what: str = "ledger") -> None:
        self._what = what
        self.url = addresses.parse(url, what)
        self.reconnect_s = RECONNECT_S
        self._read_only = read_only
        self._local = addresses.is_local(self.url)
        self._engine = open_engine(self.url, read_only=read_only, what=what)
        self._writer = uuid.uuid4().hex
        self._was_there = False

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def read(self, work: "Work[Result]") -> Result:
        """What `work` finds in a single snapshot; raises `StorageError`."""
        patience = _Patience(self.reconnect_s)
        while True:
            try:
                return self._read_once(work)
            except DBAPIError as error:
                if not (self._can_wait(error) and patience.wait()):
                    raise explained(self.url, error, self._what) from error

    def write(self, work: "Work[Result]") -> Result:
        """Do `work` in one transaction, once or not at all; raises `StorageError`."""
        patience = _Patience(self.reconnect_s)
        while True:
            attempt = _Attempt(uuid.uuid4().hex)
            try:
                return self._write_once(work, attempt)
            except DBAPIError as error:
                if not (self._can_wait(error) and patience.wait()):
                    raise explained(self.url, error, self._what) from error
                if attempt.sent and is_lost(error) and self._took_place(attempt.token):
                    result: Result = attempt.result
                    return result

    def _read_once(self, work: "Work[Result]") -> Result:
        with self._engine.connect() as connection:
            if not self._local:
                connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            with connection.begin():
                self._was_there = True
                return work(connection)

    def _write_once(self, work: "Work[Result]", attempt: "_Attempt") -> Result:
        with self._engine.connect() as connection:
            connection.execution_options(forgefield_writes=True)
            if self._read_only and not self._local:
                connection.execution_options(postgresql_readonly=True)
            with connection.begin() as transaction:
                self._was_there = True
                result = attempt.result = work(connection)
                if not self._local:
                    leave_receipt(connection, self._my_name(), attempt.token)
                attempt.sent = True
                transaction.commit()
        return result

    def _took_place(self, token: str) -> bool:
        """Whether the transaction of this token was committed; waits until that is certain."""
        patience = _Patience(self.reconnect_s)
        while True:
            try:
                with self._engine.begin() as connection:
                    return receipt_of(connection, self._my_name()) == token
            except DBAPIError as error:
                if not patience.wait():
                    raise explained(self.url, error, self._what, in_doubt=True) from error

    def _my_name(self) -> str:
        return f"{self._writer}-{threading.get_ident()}"

    def _can_wait(self, error: DBAPIError) -> bool:
        return may_be_done_again(error, was_there=self._was_there) and not self._local


class _Attempt:
    """One try of a transaction: whether its commit was sent, and what it would return."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.sent = False
        self.result: Any = None


class _Patience:
    """Pauses that grow, until `limit_s` is over."""

    def __init__(self, limit_s: float) -> None:
        self._end = time.monotonic() + limit_s
        self._pause_s = 0.02

    def wait(self) -> bool:
        """Pause; False where there is no time left."""
        if time.monotonic() + self._pause_s > self._end:
            return False
        time.sleep(self._pause_s)
        self._pause_s = min(2 * self._pause_s, 2.0)
        return True


def open_engine(url: URL, *, read_only: bool, what: str = "ledger") -> Engine:
    """Connections to a database; raises `InputError` without one, `MissingProgram`."""
    if addresses.is_local(url):
        if read_only and not (url.database and Path(url.database).is_file()):
            raise InputError(f"There is no {what} at {url.database}. Has the run been started?")
        engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S})
        _listen(engine, read_only=read_only)
        return engine
    schema = addresses.schema_of(url)
    bare = url.difference_update_query([addresses.SCHEMA])
    options = {k: v for k, v in _REMOTE.items() if k not in url.query}
    if schema:
        options["options"] = f"{url.query.get('options', '')} -csearch_path={schema}".strip()
    try:
        return create_engine(bare, connect_args=options)
    except ImportError as error:
        raise MissingProgram(
            f"A {what} in PostgreSQL needs psycopg: pip install 'forgefield[postgres]'."
        ) from error


def _listen(engine: Engine, *, read_only: bool) -> None:
    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:  # noqa: ANN401
        connection.isolation_level = None
        for pragma in _pragmas(read_only=read_only):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("forgefield_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _pragmas(*, read_only: bool) -> tuple[str, ...]:
    if read_only:
        return ("query_only = ON",)
    return ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON")
