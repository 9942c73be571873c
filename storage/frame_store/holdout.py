"""The lock on the hold-out: frames bought for the final error, seen by no choice before it.

Training runs inside `holdout_locked`; there, whoever asks for the hold-out gets an error.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from forgefield.storage.errors import HoldoutLocked

_held: list[object] = []
"""One item a block that is open in this process, whichever thread opened it."""


@contextmanager
def holdout_locked() -> Iterator[None]:
    """No frame of the hold-out can be loaded by this process inside this block."""
    lock = object()
    _held.append(lock)
    try:
        yield
    finally:
        _held.remove(lock)


def refuse_if_locked(path: Path | str) -> None:
    """Raise `HoldoutLocked` inside `holdout_locked`."""
    if _held:
        raise HoldoutLocked(
            f"Training asked for the hold-out of {path}. It is for the final evaluation alone."
        )
