"""Orders of toy labels for a real dispatcher; `conftest.py` says what their scripts do."""

import time
from collections import deque
from collections.abc import Callable, Sequence

from forgefield.platform.buying.dispatch import Order
from forgefield.storage.records import Configuration, Job, Method, Purpose
from forgefield.storage.testing import CCSD, make_job


def toys(*scripts: str, method: Method = CCSD) -> list[Job]:
    """A job a script, each of another geometry."""
    shapes = [make_job(n).configuration for n in range(len(scripts))]
    return [
        Job(Configuration(s, c.numbers, c.positions_A3), method, Purpose.TRAIN)
        for s, c in zip(scripts, shapes, strict=True)
    ]


def order(jobs: Sequence[Job], core_seconds: float = 0.2) -> Order:
    """All of these, at a planned cost of one."""
    return Order(deque(jobs), len(jobs), jobs[0].method.tier, core_seconds)


def ignore(_: object) -> None:
    """Watch nothing."""


def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait for something that must happen."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"nothing happened within {seconds} s"
        time.sleep(0.02)
