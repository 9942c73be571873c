"""The money log's only way in, and the cap, inside a transaction that the caller opened."""

import time

from sqlalchemy import Connection, insert, select, update

from forgefield.storage.errors import InputError
from forgefield.storage.ledger.entries import EntryKind
from forgefield.storage.ledger.schema import budget, entry
from forgefield.storage.units import from_micro


def note(
    connection: Connection, kind: EntryKind, amount_micro: int, text: str, number: int | None
) -> None:
    """Append one line to the money log."""
    connection.execute(
        insert(entry).values(
            at=time.time(),
            kind=kind.value,
            reservation=number,
            amount_micro=amount_micro,
            note=text[:1000],
        )
    )


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
