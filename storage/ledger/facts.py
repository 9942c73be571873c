"""What a run remembers beside its books: JSON by name, inside a transaction of the caller."""

import json
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, insert, select, update

from forgefield.storage.ledger.money_log import hold
from forgefield.storage.ledger.schema import fact


def get(connection: Connection, name: str) -> Any:  # noqa: ANN401
    """The value under a name, or `None`."""
    query = select(fact.c.value).where(fact.c.name == name)
    found = connection.execute(query).scalar_one_or_none()
    return None if found is None else json.loads(found)


def put(connection: Connection, name: str, value: Any) -> None:  # noqa: ANN401
    """Write a value under a name, in the place of an older one."""
    text = json.dumps(value)
    changed = connection.execute(update(fact).where(fact.c.name == name).values(value=text))
    if not changed.rowcount:
        connection.execute(insert(fact).values(name=name, value=text))


def change(connection: Connection, name: str, new: Callable[[Any], Any]) -> Any:  # noqa: ANN401
    """See `Ledger.change_fact`; the budget's row is what writers queue for."""
    hold(connection, 0)
    value = new(get(connection, name))
    put(connection, name, value)
    return value
