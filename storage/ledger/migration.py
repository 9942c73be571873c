"""Making a ledger's tables, and bringing those of an older Forgefield up to date.

Each step runs inside the caller's transaction: an interrupted one leaves the ledger as it was.
"""

import json

from sqlalchemy import URL, Connection, insert, inspect, select, text, update

from forgefield.storage.errors import InputError, StorageError
from forgefield.storage.ledger.addresses import shown
from forgefield.storage.ledger.schema import BUDGET_ROW, SCHEMA_VERSION, budget, fact, metadata

VERSION_FACT = "ledger schema"
OLDER = 1
"""The schema that is brought up to date."""
_CREATORS_LOCK = 7_046_029_254


def create(connection: Connection, schema: str) -> None:
    """Make the tables that are absent, in a schema of PostgreSQL where one is named."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_CREATORS_LOCK})"))
        if schema and not inspect(connection).has_schema(schema):
            connection.execute(text(f'CREATE SCHEMA "{schema}"'))
    if not inspect(connection).has_table(budget.name):
        metadata.create_all(connection)
        zeros = {"cap_micro": 0, "spent_micro": 0, "reserved_micro": 0, "next_seq": 1}
        connection.execute(insert(budget).values(id=BUDGET_ROW, **zeros))
        connection.execute(insert(fact).values(name=VERSION_FACT, value=str(SCHEMA_VERSION)))
    elif schema_version(connection) == OLDER:
        _from_1_to_2(connection)


def schema_version(connection: Connection) -> object:
    """The schema that a ledger says it has; None where there is no ledger."""
    if not inspect(connection).has_table(fact.name):
        return None
    found = connection.execute(select(fact.c.value).where(fact.c.name == VERSION_FACT))
    value = found.scalar_one_or_none()
    return None if value is None else json.loads(value)


def refuse_other_schema(found: object, url: URL) -> None:
    """Raise `StorageError` for a ledger that this program doesn't know, `InputError` for none."""
    if found is None:
        raise InputError(f"There is no ledger at {shown(url)}. Has the run been started?")
    if found != SCHEMA_VERSION:
        raise StorageError(
            f"The ledger has schema {found}, this program writes {SCHEMA_VERSION}. "
            "Use the version of Forgefield that made it."
        )


def _from_1_to_2(connection: Connection) -> None:
    """Periodic boxes, labels that cost nothing, withdrawals: a job may be in the inbox twice."""
    binary = "BYTEA" if connection.dialect.name == "postgresql" else "BLOB"
    for statement in (
        f"ALTER TABLE job ADD COLUMN cell {binary}",
        "ALTER TABLE attempt ADD COLUMN source TEXT",
        "ALTER TABLE attempt ADD COLUMN content VARCHAR(32)",
        "ALTER TABLE inbox RENAME TO old_inbox",
    ):
        connection.execute(text(statement))
    metadata.create_all(connection)
    columns = ", ".join(column["name"] for column in inspect(connection).get_columns("old_inbox"))
    moved = f"INSERT INTO inbox ({columns}) SELECT {columns} FROM old_inbox"  # noqa: S608 - our own names
    connection.execute(text(moved))
    connection.execute(text("DROP TABLE old_inbox"))
    connection.execute(update(fact).where(fact.c.name == VERSION_FACT).values(value="2"))
