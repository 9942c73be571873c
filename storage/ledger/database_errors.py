"""What went wrong with the database, told apart by what can be done about it."""

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, OperationalError

from forgefield.storage.errors import StorageError
from forgefield.storage.ledger import addresses

ABORTED = {"40001", "40P01"}
"""Serialization failure and deadlock: the server has rolled the transaction back."""
GOING_AWAY = {"57P01", "57P02", "57P03"}
"""Shut down by its administrator, crashed, not taking connections yet."""
_STARTING = ("starting up", "shutting down", "in recovery mode", "not yet accepting")


def is_lost(error: DBAPIError) -> bool:
    """Whether the connection is gone, or could not be made."""
    state = _state(error)
    unexplained = isinstance(error, OperationalError) and state is None
    return error.connection_invalidated or unexplained or state in GOING_AWAY


def may_be_done_again(error: DBAPIError, *, was_there: bool) -> bool:
    """Whether to try again; a server that was never reached is only waited for as it starts."""
    if _state(error) in ABORTED:
        return True
    starting = any(word in str(error.orig) for word in _STARTING)
    return is_lost(error) and (was_there or starting)


def explained(
    url: URL, error: DBAPIError, what: str = "ledger", *, in_doubt: bool = False
) -> StorageError:
    """The error with the place and the next step."""
    said = f"The {what} {addresses.shown(url)} could not be used: {str(error.orig).strip()}."
    if in_doubt:
        said += " Whether the last step was booked isn't known."
    if addresses.is_local(url):
        step = (
            "Check the disk's free space and permissions, and that no other program locks the file."
        )
    elif is_lost(error):
        step = (
            "Check the server, the address and the password (~/.pgpass, PGPASSWORD), then give the "
            "same command again: it goes on from what was booked."
        )
    else:
        step = "Check the database user's rights and the server's disk."
    return StorageError(f"{said} {step}")


def _state(error: DBAPIError) -> str | None:
    state: str | None = getattr(error.orig, "sqlstate", None)
    return state
