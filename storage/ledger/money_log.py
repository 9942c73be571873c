"""The money log's only way in, and the budget's row, inside a transaction of the caller."""

import time
from collections.abc import Sequence

from sqlalchemy import BigInteger, Connection, bindparam, insert, select, update

from forgefield.storage.errors import BudgetExhausted, InputError
from forgefield.storage.ledger.entries import EntryKind
from forgefield.storage.ledger.queries import balance
from forgefield.storage.ledger.schema import budget, entry
from forgefield.storage.units import from_micro

LONGEST_NOTE = 1000


def note(
    connection: Connection, kind: EntryKind, amount_micro: int, text: str, number: int | None
) -> int:
    """Append one line to the money log; its id."""
    added = connection.execute(_ADD, _line(kind, amount_micro, text, number)).inserted_primary_key
    return int(added[0]) if added else 0


def note_all(
    connection: Connection, number: int, lines: Sequence[tuple[EntryKind, int, str]]
) -> None:
    """Append lines of (kind, amount, text) about a reservation."""
    rows = [_line(kind, amount_micro, text, number) for kind, amount_micro, text in lines]
    connection.execute(_ADD, rows)


def set_cap(connection: Connection, cap_micro: int, reason: str) -> None:
    """Change the cap; raises `InputError` below what is spent and reserved."""
    old = connection.execute(select(budget.c.cap_micro).with_for_update()).scalar_one()
    changed = connection.execute(
        update(budget)
        .where(budget.c.spent_micro + budget.c.reserved_micro <= cap_micro)
        .values(cap_micro=cap_micro)
    )
    if not changed.rowcount:
        raise InputError(
            f"A cap of {from_micro(cap_micro):g} core-seconds lies below what is spent and "
            "reserved already. Choose a higher one, or wait for labels in flight."
        )
    note(connection, EntryKind.CAP, cap_micro - old, reason, None)


def hold(connection: Connection, amount: int) -> None:
    """Set money aside, 0 to only queue for the budget; raises `BudgetExhausted`."""
    if not connection.execute(_HOLD, {"amount": amount}).rowcount:
        now = balance(connection)
        raise BudgetExhausted(
            f"{from_micro(amount):g} core-seconds don't fit into the "
            f"{from_micro(now.left_micro):g} left of {from_micro(now.cap_micro):g}. "
            "Raise the budget, or wait for labels in flight."
        )


def charge(connection: Connection, amount: int, charged: int, numbers: int) -> int:
    """Turn `amount` reserved into `charged` spent; the first of `numbers` sequence numbers."""
    moved = {"amount": amount, "charged": charged, "numbers": numbers}
    return int(connection.execute(_CHARGE, moved).scalar_one()) - numbers


def storable(text: str, longest: int) -> str:
    """Text that any database keeps: PostgreSQL takes no NUL characters, UTF-8 no surrogates."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text.replace("\0", "")[:longest]


def _line(
    kind: EntryKind, amount_micro: int, text: str, number: int | None
) -> dict[str, float | str | None]:
    return {
        "at": time.time(),
        "kind": kind.value,
        "reservation": number,
        "amount_micro": amount_micro,
        "note": storable(text, LONGEST_NOTE),
    }


_ADD = insert(entry)
_HELD = bindparam("amount", type_=BigInteger)
_HOLD = (
    update(budget)
    .where(budget.c.spent_micro + budget.c.reserved_micro + _HELD <= budget.c.cap_micro)
    .values(reserved_micro=budget.c.reserved_micro + _HELD)
)
_CHARGE = (
    update(budget)
    .values(
        reserved_micro=budget.c.reserved_micro - _HELD,
        spent_micro=budget.c.spent_micro + bindparam("charged", type_=BigInteger),
        next_seq=budget.c.next_seq + bindparam("numbers", type_=BigInteger),
    )
    .returning(budget.c.next_seq)
)
