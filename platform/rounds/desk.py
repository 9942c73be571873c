"""The desk between thinking and buying: one thread asks for labels, another buys them.

Orders are made once and live as long as the phase; their jobs change only in the buyer's thread,
when it calls `settle`, between two purchases. So a label that training asks for is bought as soon
as a slot is free, while others are in flight, and no label is bought twice. What is bought ahead
has a spare claim: it takes no money from what a round asked for.

Changes are numbered from 1 in the order in which they were asked for. So whoever asked can tell
whether an answer knows of it: nothing fits into the money (`starved_at`), or not heard of yet.
"""

import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence

from forgefield.platform.buying.asking import Order
from forgefield.platform.buying.purchasing import Claim
from forgefield.platform.rounds.supply import DEAR
from forgefield.storage.records import Job, Tier

Change = Callable[[], None]


class Desk:
    """Labels that are wanted now, in the order of wishes; `core_seconds` is one label's by tier.

    `asked` is the number of the last change, `applied` of the last that the orders know of.
    """

    def __init__(self, firm: Sequence[Order], core_seconds: Mapping[Tier, float]) -> None:
        self._now = {tier: _empty(tier, core_seconds[tier], Claim.ELASTIC) for tier in DEAR}
        self._ahead = {tier: _empty(tier, core_seconds[tier], Claim.SPARE) for tier in DEAR}
        self.orders = [*firm, *self._now.values(), *self._ahead.values()]
        self._wanted = {job.key() for order in firm for job in order.jobs}
        self._changes: deque[Change] = deque()
        self._event = threading.Event()
        self.asked = self.applied = 0
        self.starved_at = -1
        self.closed = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing is wanted that isn't bought."""
        return not self._changes and not any(order.jobs for order in self.orders)

    def is_pending(self, key: str) -> bool:
        """Whether a job was asked for and not given up: it is tried again if it has failed."""
        return key in self._wanted and not any(key in order.given_up for order in self.orders)

    def want(self, jobs: Sequence[Job], *, ahead: bool = False) -> None:
        """Ask for training labels of target and middle tier; thinking calls this."""
        orders = self._ahead if ahead else self._now
        self._wanted |= {job.key() for job in jobs}

        def add() -> None:
            for job in jobs:
                order = orders[job.method.tier]
                order.jobs.append(job)
                order.planned += 1

        self._change(add)

    def promote(self, kept: Collection[str]) -> None:
        """Of what was to be bought ahead and isn't yet, `kept` keys are wanted now, others not."""

        def move() -> None:
            for tier, order in self._ahead.items():
                now, jobs = self._now[tier], [job for job in order.jobs if job.key() in kept]
                now.planned += len(jobs)
                now.jobs.extendleft(reversed(jobs))
                order.jobs.clear()
                order.planned = 0

        self._change(move)

    def drop(self) -> None:
        """No further training labels are wanted; firm orders stay."""
        self._drop([*self._now.values(), *self._ahead.values()])

    def close(self) -> None:
        """Thinking is over, or has failed: nothing more is wanted or will be asked for."""
        self._drop(self.orders)
        self.closed = True
        self._event.set()

    def settle(self) -> None:
        """Apply what was asked for; the buyer calls this between purchases."""
        while self._changes:
            self._changes.popleft()()
            self.applied += 1

    def starve(self) -> None:
        """Hear that nothing of what is wanted fits into the money."""
        self.starved_at = self.applied

    def wait(self, seconds: float) -> None:
        """Until something is asked for, at most so long."""
        self._event.wait(seconds)
        self._event.clear()

    def _drop(self, orders: Sequence[Order]) -> None:
        def clear() -> None:
            for order in orders:
                order.dropped = True
                order.jobs.clear()

        self._change(clear)

    def _change(self, change: Change) -> None:
        self.asked += 1
        self._changes.append(change)
        self._event.set()


def _empty(tier: Tier, core_seconds: float, claim: Claim) -> Order:
    return Order(deque(), 0, tier, core_seconds, claim)
