"""Doing something again and again beside the main work."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def repeating(call: Callable[[], object], every_s: float, name: str) -> Iterator[None]:
    """Call every so many seconds, in a thread of this name, while inside."""
    over = threading.Event()

    def again() -> None:
        while not over.wait(every_s):
            call()

    thread = threading.Thread(target=again, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
