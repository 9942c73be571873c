"""Connections to the ledger's database: how a transaction begins, and what a commit promises.

SQLite runs in WAL mode with synchronous=FULL, so a commit that returned survives a power cut,
and readers never wait for the writer. Writers begin IMMEDIATE: they queue at the start of their
transaction, not in the middle of it. PostgreSQL needs nothing of the kind.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from forgefield.storage.errors import InputError, StorageError

BUSY_TIMEOUT_S = 60


def open_engine(url: str, *, read_only: bool) -> Engine:
    """Engine for `url`; raises `InputError` for a bad URL or, read-only, a missing file."""
    try:
        parsed = make_url(url)
        local = parsed.get_backend_name() == "sqlite"
        if read_only and local and not _file_exists(parsed.database):
            raise InputError(f"There is no ledger at {parsed.database}. Has the run been started?")
        engine = create_engine(
            parsed,
            connect_args={"timeout": BUSY_TIMEOUT_S} if local else {},
            pool_pre_ping=not local,
        )
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise InputError(
            f"{url!r} is no database URL ({error}). Write sqlite:////path/ledger.sqlite."
        ) from error
    if local:
        _listen(engine, read_only=read_only)
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that commits when the block ends, or leaves no trace."""
    with _explained(engine), engine.connect() as connection:
        connection.execution_options(forgefield_writes=True)
        with connection.begin():
            yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One transaction that sees a single snapshot and changes nothing."""
    with _explained(engine), engine.connect() as connection:
        if engine.dialect.name != "sqlite":
            connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            yield connection


@contextmanager
def _explained(engine: Engine) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        where = engine.url.render_as_string(hide_password=True)
        raise StorageError(
            f"The ledger {where} could not be used: {error.orig}. Check the disk's free space and "
            "permissions, and that no other program locks the file."
        ) from error


def _file_exists(database: str | None) -> bool:
    return bool(database) and Path(str(database)).is_file()


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
