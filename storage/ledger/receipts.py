"""Receipts: how a writer learns whether a transaction took place whose answer it never got.

Each writer has one row that its transactions overwrite, each with its own token, as their last
step. Asking for it waits for a transaction that the server may still be finishing.
"""

import time

from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from forgefield.storage.ledger.schema import receipt


def leave_receipt(connection: Connection, writer: str, token: str) -> None:
    """Write the transaction's token into the writer's row."""
    values = {"token": token, "at": time.time()}
    connection.execute(
        insert(receipt)
        .values(writer=writer, **values)
        .on_conflict_do_update(index_elements=["writer"], set_=values)
    )


def receipt_of(connection: Connection, writer: str) -> str:
    """The token of the writer's last transaction that took place, or nothing.

    Touches the row, so that a transaction under way ends first, one way or the other.
    """
    asked = insert(receipt).values(writer=writer, token="", at=time.time())
    touched = asked.on_conflict_do_update(
        index_elements=["writer"], set_={"at": asked.excluded.at}
    ).returning(receipt.c.token)
    return str(connection.execute(touched).scalar_one())
