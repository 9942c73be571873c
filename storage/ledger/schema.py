"""Tables of the ledger, in SQLAlchemy Core: the same on SQLite and on PostgreSQL.

`entry`, `attempt` and `withdrawal` are append-only; everything else can be replayed from them. The
single row of `budget` is what writers queue for: sequence numbers (`next_seq`) are taken from it
after it was updated, so that they are gapless and in the order of the commits.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
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

SCHEMA_VERSION = 2
BUDGET_ROW = 1

metadata = MetaData()
_ID = BigInteger().with_variant(Integer, "sqlite")

budget = Table(
    "budget",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("cap_micro", BigInteger, nullable=False),
    Column("spent_micro", BigInteger, nullable=False),
    Column("reserved_micro", BigInteger, nullable=False),
    Column("next_seq", BigInteger, nullable=False),
    CheckConstraint("spent_micro >= 0 AND reserved_micro >= 0", name="no_debt"),
    CheckConstraint("spent_micro + reserved_micro <= cap_micro", name="within_cap"),
)

reservation = Table(
    "reservation",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("amount_micro", BigInteger, nullable=False),
    Column("opened_at", Double, nullable=False),
    Column("closed_at", Double),
    CheckConstraint("amount_micro >= 0", name="no_negative_amount"),
    Index("open_reservations", "closed_at"),
    sqlite_autoincrement=True,
)

job = Table(
    "job",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("geometry", String(32), nullable=False, index=True),
    Column("tier", String(16), nullable=False),
    Column("method", Text, nullable=False),
    Column("purpose", Integer, nullable=False),
    Column("molecule", Text, nullable=False),
    Column("numbers", LargeBinary, nullable=False),
    Column("positions", LargeBinary, nullable=False),
    Column("charge", Integer, nullable=False),
    Column("multiplicity", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("reservation", _ID, ForeignKey("reservation.id"), nullable=False, index=True),
    Column("failure_kind", Text),
    Column("failure_message", Text),
    Column("cell", LargeBinary),
)

attempt = Table(
    "attempt",
    metadata,
    Column("seq", _ID, primary_key=True, autoincrement=False),
    Column("job", String(32), ForeignKey("job.key"), nullable=False, index=True),
    Column("reservation", _ID, ForeignKey("reservation.id"), nullable=False, index=True),
    Column("tier", String(16), nullable=False),
    Column("purpose", Integer, nullable=False),
    Column("done", Integer, nullable=False),
    Column("used_micro", BigInteger, nullable=False),
    Column("failure_kind", Text),
    Column("failure_message", Text),
    Column("at", Double, nullable=False),
    Column("source", Text),  # where a label came from that cost nothing; NULL: it was bought
    Column("content", String(32)),  # hash of the label; NULL: failed, or of an older ledger
)

inbox = Table(
    "inbox",
    metadata,
    Column("seq", _ID, ForeignKey("attempt.seq"), primary_key=True, autoincrement=False),
    Column("job", String(32), ForeignKey("job.key"), nullable=False, index=True),
    Column("cost_micro", BigInteger, nullable=False),
    Column("energy", Double, nullable=False),
    Column("forces", LargeBinary),
    Column("program", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("threads", Integer, nullable=False),
    Column("wall_s", Double, nullable=False),
    Column("cpu_s", Double, nullable=False),
    Column("diagnostics", Text, nullable=False),
    Column("stress", LargeBinary),
)

entry = Table(
    "entry",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("at", Double, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("reservation", _ID, ForeignKey("reservation.id"), index=True),
    Column("amount_micro", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    sqlite_autoincrement=True,
)

withdrawal = Table(
    "withdrawal",
    metadata,
    Column("seq", _ID, primary_key=True, autoincrement=False),
    Column("attempt", _ID, ForeignKey("attempt.seq"), nullable=False, unique=True),
    Column("job", String(32), ForeignKey("job.key"), nullable=False, index=True),
    Column("reason", Text, nullable=False),
    Column("entry", _ID, ForeignKey("entry.id"), nullable=False),
    Column("at", Double, nullable=False),
    Column("packed", Integer, nullable=False),
)

receipt = Table(
    "receipt",
    metadata,
    Column("writer", String(64), primary_key=True),
    Column("token", String(32), nullable=False),
    Column("at", Double, nullable=False),
)

fact = Table(
    "fact",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("value", Text, nullable=False),
)
