"""Ctrl-C and SIGTERM: what they do, and that none of them is lost.

While labels run the first finishes what is in flight, and the second leaves. Elsewhere SIGINT
raises `KeyboardInterrupt` at once, also in the background of a script, where shells have it
ignored. The interpreter drops one that is raised in a callback (imports have some); so it is kept,
and long work raises it again at its next report.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

STDERR = 2
_pressed = threading.Event()
_STOPPING = "\nStopping, which can take half a minute …\n"


class Interrupted(KeyboardInterrupt):
    """The user stopped the run; what was in flight is kept."""


@contextmanager
def signals_to(
    handler: Callable[[int, FrameType | None], None],
    numbers: Sequence[signal.Signals] = (signal.SIGINT, signal.SIGTERM),
) -> Iterator[None]:
    """Send signals, both unless said otherwise, to `handler` while inside."""
    kept = {number: signal.getsignal(number) for number in numbers}
    for number in kept:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, before in kept.items():
            signal.signal(number, before)


@contextmanager
def ctrl_c_kept() -> Iterator[None]:
    """Keep a Ctrl-C while inside, in the main thread; elsewhere signals are left alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _pressed.clear()
    try:
        with signals_to(_keep, [signal.SIGINT]):
            yield
    finally:
        _pressed.clear()


def leave_if_pressed() -> None:
    """Raise `KeyboardInterrupt` where Ctrl-C was pressed, and the one that it raised was lost."""
    if _pressed.is_set():
        raise KeyboardInterrupt


def _keep(_number: int, _frame: FrameType | None) -> None:
    """Say so at once, for the end may take a while; a stream that is being written can't."""
    if not _pressed.is_set():
        with suppress(OSError):
            os.write(STDERR, _STOPPING.encode())
    _pressed.set()
    raise KeyboardInterrupt
