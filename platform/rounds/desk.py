"""The desk between thinking and buying: one thread asks for labels, another buys them.

Orders are made once and live as long as the phase; their jobs change only in the buyer's thread,
when it calls `settle`, between two purchases. So a label that training asks for is bought as soon
as a slot is free, while others are in flight, and no label is bought twice. What is bought ahead
has a spare claim: it takes no money from what a round asked for.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from forgefield.platform.buying.asking import Order
from forgefield.platform.buying.purchasing import Claim
from forgefield.platform.rounds.supply import DEAR
from forgefield.storage.records import Job, Tier

Change = Callable[[], None]


class Desk:
    """Labels that are wanted now, in the order of wishes; `core_seconds` is one label's by tier."""

    def __init__(self, firm: Sequence[Order], core_seconds: Mapping[Tier, float]) -> None:
        self._now = {tier: _empty(tier, core_seconds[tier], Claim.ELASTIC) for tier in DEAR}
        self._ahead = {tier: _empty(tier, core_seconds[tier], Claim.SPARE) for tier in DEAR}
        self.orders = [*firm, *self._now.values(), *self._ahead.values()]
        self._changes: deque[Change] = deque()
        self._event = threading.Event()
        self.asked = 0
        self.starved = False
        self.closed = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing is wanted that isn't bought."""
        return not self._changes and not any(order.jobs for order in self.orders)

    def want(self, jobs: Sequence[Job], *, ahead: bool = False) -> None:
        """Ask for training labels of target and middle tier; thinking calls this."""
        orders = self._ahead if ahead else self._now

        def add() -> None:
            for job in jobs:
                order = orders[job.method.tier]
                order.jobs.append(job)
                order.planned += 1

        self._change(add)

    def promote(self) -> None:
        """What was bought ahead and isn't there yet is wanted now."""

        def move() -> None:
            for tier, order in self._ahead.items():
                now = self._now[tier]
                now.planned += len(order.jobs)
                now.jobs.extendleft(reversed(order.jobs))
                order.jobs.clear()
                order.planned = 0

        self._change(move)

    def drop(self) -> None:
        """Nothing of what is waiting is wanted any more."""

        def clear() -> None:
            for order in self.orders:
                order.jobs.clear()

        self._change(clear)

    def close(self) -> None:
        """Thinking is over, or has failed: nothing more will be asked for."""
        self.drop()
        self.closed = True
        self._event.set()

    def settle(self) -> None:
        """Apply what was asked for; the buyer calls this between purchases."""
        while self._changes:
            self._changes.popleft()()
            self.asked += 1
            self.starved = False

    def starve(self) -> None:
        """Hear that nothing of what is wanted fits into the money."""
        self.starved = True

    def wait(self, seconds: float) -> None:
        """Until something is asked for, at most so long."""
        self._event.wait(seconds)
        self._event.clear()

    def _change(self, change: Change) -> None:
        self._changes.append(change)
        self._event.set()


def _empty(tier: Tier, core_seconds: float, claim: Claim) -> Order:
    return Order(deque(), 0, tier, core_seconds, claim)
