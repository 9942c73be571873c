"""Opening a label book's database, and the transaction that all its writers queue for."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sqlalchemy import URL, Connection, insert, select, update
from sqlalchemy.schema import CreateSchema

from forgefield.storage.errors import InputError, StorageError
from forgefield.storage.label_book.schema import ABOUT_ROW, SCHEMA_VERSION, about, metadata
from forgefield.storage.ledger import addresses
from forgefield.storage.ledger.database import Database
from forgefield.storage.ledger.schema import receipt

CREATION_TRIES, CREATION_PAUSE_S = 50, 0.1
"""Several runs may want to make the same book at the same moment."""
Result = TypeVar("Result")


def book_url(place: str | Path) -> str:
    """The SQLAlchemy URL of a book that a person named by URL or by path."""
    text = str(place)
    if "://" in text:
        return text
    path = str(Path(text).expanduser().resolve())
    return URL.create("sqlite", database=path).render_as_string()


def open_book(place: str | Path) -> Database:
    """The database of a book, made where there is none; raises `StorageError`, `InputError`."""
    url = book_url(place)
    parsed = addresses.parse(url)
    if addresses.is_local(parsed) and parsed.database:
        _make_folder(Path(parsed.database).parent)
    database = Database(url, read_only=False, what="label book")
    try:
        _create_patiently(database)
        _check_version(database)
    except BaseException:
        database.close()
        raise
    return database


def take_turn(database: Database, work: Callable[[Connection], Result]) -> Result:
    """Do `work` in one writing transaction; nobody else writes to the book until it ends."""

    def queued(connection: Connection) -> Result:
        connection.execute(update(about).values(turn=about.c.turn + 1))
        return work(connection)

    return database.write(queued)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"Can't make {folder} for the label book: {error.strerror}. Choose another place with "
            "--labels, or go without one (--no-labels)."
        ) from error


def _create_patiently(database: Database) -> None:
    """Make the tables; another process that makes them now gets in the way for a moment only."""
    for tries_left in reversed(range(CREATION_TRIES)):
        try:
            return database.write(lambda c: _create(c, addresses.schema_of(database.url)))
        except StorageError:
            if not tries_left:
                raise
            time.sleep(CREATION_PAUSE_S)
    return None


def _create(connection: Connection, schema: str) -> None:
    if schema:
        connection.execute(CreateSchema(schema, if_not_exists=True))
    metadata.create_all(connection)
    receipt.create(connection, checkfirst=True)
    if connection.execute(select(about.c.id)).first() is None:
        connection.execute(insert(about).values(id=ABOUT_ROW, version=SCHEMA_VERSION, turn=0))


def _check_version(database: Database) -> None:
    found = database.read(lambda c: c.execute(select(about.c.version)).scalar_one())
    if found != SCHEMA_VERSION:
        raise StorageError(
            f"The label book has schema {found}, this program writes {SCHEMA_VERSION}. Use the "
            "version of Forgefield that made it, or another book (--labels)."
        )
