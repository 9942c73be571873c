"""What the dispatcher asks the label book before it pays, and the jobs that others are buying.

Found jobs leave their order at no cost; busy ones wait here, and come back to their order when
whoever was buying them failed or died.
"""

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from forgefield.platform.buying.ledger_service import LedgerClient
from forgefield.platform.buying.purchasing import Claim
from forgefield.platform.buying.score import Score
from forgefield.platform.buying.shared_labels import Asked
from forgefield.storage.records import Job, Tier

ASK_AGAIN_S = 2.0
JOBS_AT_ONCE = 500


@dataclass(slots=True)
class Order:
    """Jobs of one tier still to be bought of `planned`; `core_seconds` is the plan's for one.

    The next `alone` jobs are bought one at a time: they were in a batch that killed its worker.
    `given_up` are keys of jobs that failed and aren't tried again. Nothing comes back to an order
    that was `dropped`.
    """

    jobs: deque[Job]
    planned: int
    tier: Tier
    core_seconds: float
    claim: Claim = Claim.ELASTIC
    alone: int = 0
    given_up: set[str] = field(default_factory=set)
    dropped: bool = False


class Asking:
    """The book as the dispatcher sees it; labels expected to cost less than `least` pass by."""

    def __init__(self, ledger: LedgerClient, least: float, score: Score) -> None:
        self._ledger, self._least, self._score = ledger, least, score
        self._busy: list[tuple[Order, Job]] = []
        self._holders: dict[str, str] = {}
        self._asked_again = time.monotonic()

    @property
    def is_waiting(self) -> bool:
        """Whether some jobs are being bought by others, and still wanted."""
        return any(not order.dropped for order, _ in self._busy)

    @property
    def waiting_for(self) -> str:
        """`waiting for run a to finish 3 labels`; nothing where none are with other runs."""
        holders = Counter(self._holders.get(job.key(), "") for _, job in self._busy)
        counts = sorted((name, count) for name, count in holders.items() if name)
        runs = [
            f"run {name} to finish {'1 label' if count == 1 else f'{count:,} labels'}"
            for name, count in counts
        ]
        return f"waiting for {' and '.join(runs)}" if runs else ""

    def take_known(self, orders: Iterable[Order], cost: Callable[[Order], float]) -> None:
        """Take all that is in the book already; nothing is claimed."""
        self._busy.clear()
        for order in orders:
            if cost(order) >= self._least:
                found = self._found(order.tier, order.jobs)
                order.jobs = deque(job for job in order.jobs if job.key() not in found)

    def granted(self, order: Order, jobs: Sequence[Job], cost: float) -> tuple[Job, ...]:
        """Those of the jobs that this run is to buy now."""
        if cost < self._least:
            return tuple(jobs)
        asked = self._count(order.tier, self._ledger.ask(jobs, claim=True))
        busy, granted = set(asked.busy), set(asked.granted)
        keyed = [(job.key(), job) for job in jobs]
        self._busy += [(order, job) for key, job in keyed if key in busy]
        return tuple(job for key, job in keyed if key in granted)

    def give_up(self, jobs: Sequence[Job]) -> None:
        """Leave jobs to others that failed here; they are asked for again if they are retried.

        A run that waits holds no claims, so no two runs ever wait for each other.
        """
        self._ledger.release([job.key() for job in jobs])

    def bring_back(self, *, patient: bool) -> None:
        """Ask again for what others were buying; pauses where there is nothing else to do."""
        self._busy = [(order, job) for order, job in self._busy if not order.dropped]
        wait = self._asked_again + ASK_AGAIN_S - time.monotonic()
        if not self._busy or (patient and wait > 0):
            return
        time.sleep(max(0.0, wait))
        self._asked_again = time.monotonic()
        by_tier = defaultdict(list)
        for order, job in self._busy:
            by_tier[order.tier].append(job)
        asked = [
            self._count(tier, self._ledger.ask(jobs, claim=False)) for tier, jobs in by_tier.items()
        ]
        free = {key for each in asked for key in each.granted}
        busy = {key for each in asked for key in each.busy}
        for order, job in self._busy:
            if job.key() in free:
                order.jobs.append(job)
        self._busy = [(order, job) for order, job in self._busy if job.key() in busy]

    def _found(self, tier: Tier, jobs: Sequence[Job]) -> set[str]:
        found: set[str] = set()
        for start in range(0, len(jobs), JOBS_AT_ONCE):
            part = [jobs[place] for place in range(start, min(start + JOBS_AT_ONCE, len(jobs)))]
            found.update(self._count(tier, self._ledger.ask(part, claim=False)).found)
        return found

    def _count(self, tier: Tier, asked: Asked) -> Asked:
        self._score.done[tier] += len(asked.found)
        self._holders.update(zip(asked.busy, asked.holders, strict=True))
        return asked
