"""Tables of the label book, in SQLAlchemy Core: the same on SQLite and on PostgreSQL.

`about` has one row, which every writer updates first: writers queue for it, so that what one of
them reads afterwards stays true until it commits.
"""

from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

SCHEMA_VERSION = 1
ABOUT_ROW = 1

metadata = MetaData()
_ID = BigInteger().with_variant(Integer, "sqlite")


class Standing(StrEnum):
    """Where an entry stands. `WITHDRAWN` ones are kept so that they aren't published again."""

    CLAIMED = "claimed"
    DONE = "done"
    WITHDRAWN = "withdrawn"


about = Table(
    "about",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("turn", BigInteger, nullable=False),
)

run = Table(
    "run",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", Text, nullable=False),
    Column("folder", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("ledger", Text, nullable=False),
    Column("spool", Text, nullable=False),
    Column("seen_at", Double, nullable=False),
)

label = Table(
    "label",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("job", String(32), nullable=False, index=True),
    Column("system", String(32), nullable=False),
    Column("bucket", BigInteger, nullable=False),
    Column("features", LargeBinary, nullable=False),
    Column("tier", String(16), nullable=False),
    Column("method", Text, nullable=False),
    Column("molecule", Text, nullable=False),
    Column("numbers", LargeBinary, nullable=False),
    Column("charge", Integer, nullable=False),
    Column("multiplicity", Integer, nullable=False),
    Column("positions", LargeBinary, nullable=False),
    Column("cell", LargeBinary),
    Column("standing", String(16), nullable=False),
    Column("run", String(32), ForeignKey("run.id"), nullable=False),
    Column("at", Double, nullable=False),
    Column("cost_micro", BigInteger),
    Column("energy", Double),
    Column("forces", LargeBinary),
    Column("stress", LargeBinary),
    Column("program", Text),
    Column("version", Text),
    Column("host", Text),
    Column("threads", Integer),
    Column("wall_s", Double),
    Column("cpu_s", Double),
    Column("diagnostics", Text),
    Index("nearby_labels", "system", "bucket"),
    Index("labels_of_a_run", "run", "standing"),
    sqlite_autoincrement=True,
)

taken = Table(
    "taken",
    metadata,
    Column("label", _ID, ForeignKey("label.id"), primary_key=True),
    Column("run", String(32), ForeignKey("run.id"), primary_key=True),
    Column("job", String(32), primary_key=True),
    Column("at", Double, nullable=False),
)

pool = Table(
    "pool",
    metadata,
    Column("identity", String(32), primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("frames", Integer, nullable=False),
    Column("positions", LargeBinary, nullable=False),
    Column("temperatures", LargeBinary, nullable=False),
)
