"""A crew in virtual time: workers are events in a queue, ledger and dispatcher are the real ones.

The clock jumps from event to event. Between them it runs with the CPU time that the dispatcher and
the ledger take, as if one core did both, so that it shows how long workers wait for them.
What a worker would do itself (computing, spooling) takes virtual time only. CPU time is wall time
times the share of a core that the process had: asking for it directly takes a millisecond on some
virtual machines.
"""

import heapq
import itertools
from collections.abc import Callable, Collection, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from forgefield.platform.buying.crew import Crew, Ended
from forgefield.platform.buying.ledger_service import LedgerService
from forgefield.platform.buying.workers import Worked, worked_of
from forgefield.storage.records import Job, Outcome, Tier
from forgefield.storage.testing import failed, labelled
from forgefield.storage.units import to_micro

DIES, FAILS, LINGERS = 0.001, 0.006, 0.011
"""Of a thousand labels one kills its worker, five don't converge, five take five times as long."""
MEASURE_EVERY = 200


@dataclass
class Meter:
    """Wall seconds inside the ledger, and those that are the simulation's own."""

    ledger: float = 0.0
    packing: float = 0.0
    ours: float = 0.0
    began: tuple[float, float] = field(default_factory=lambda: (perf_counter(), process_time()))
    share: float = 1.0

    @contextmanager
    def counts(self, name: str) -> Any:
        """Add what is done inside to one of the three."""
        start = perf_counter()
        yield
        setattr(self, name, getattr(self, name) + perf_counter() - start)

    def measure(self) -> None:
        """Measure the share of a core that the process had since the last time."""
        now = (perf_counter(), process_time())
        self.share = (now[1] - self.began[1]) / max(1e-9, now[0] - self.began[0])
        self.began = now


class VirtualLedger:
    """The ledger service without a process of its own, timed."""

    def __init__(self, folder: Path, meter: Meter) -> None:
        (folder / "spool").mkdir(parents=True)
        url, self._meter = f"sqlite:///{folder}/ledger.sqlite", meter
        self.service = LedgerService(url, folder / "frames.zarr", folder / "spool")
        self.service.open({})

    def close(self) -> None:
        """Let go of all files."""
        self.service._store.close()
        self.service._lock.release()
        self.service._ledger.close()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def timed(*arguments: Any, **named: Any) -> Any:
            with self._meter.counts("packing" if name.startswith("pack") else "ledger"):
                if name in {"ask", "release"}:
                    return self.service.share(name, *arguments, **named)
                if name in {"pack", "pack_soon"}:
                    return self.service.pack()
                if name == "close_dead":
                    return self.service.close_dead(*arguments)
                return self.service.call(name, *arguments)

        return timed


@dataclass
class VirtualCrew(Crew):
    """`count` places; a label takes `seconds` on average, with a lognormal spread of `spread`."""

    count: int
    ledger: VirtualLedger
    meter: Meter
    seconds: float
    spread: float = 0.4
    busy: float = 0.0
    started: int = 0
    _base: float = 0.0
    _mark: float = field(default_factory=perf_counter)
    _events: list[tuple[float, int, Any]] = field(default_factory=list)
    _tickets: Any = field(default_factory=lambda: itertools.count(1))
    _random: Any = field(default_factory=lambda: np.random.default_rng(5))
    _loaded: list[Ended] = field(default_factory=list)

    @property
    def places(self) -> Sequence[int]:
        """All of them."""
        return range(self.count)

    def tiers(self, _place: int) -> Collection[Tier]:
        """One will do."""
        return (Tier.XTB,)

    def threads(self, _place: int, _tier: Tier) -> int:
        """One."""
        return 1

    def load(self, _place: int, _tier: Tier) -> int:
        """Loaded at once."""
        ticket = next(self._tickets)
        self._loaded.append(Ended(ticket))
        return ticket

    def label(self, _place: int, _tier: Tier, reservation: int, jobs: Sequence[Job]) -> int:
        """An event, when all of the jobs are done."""
        with self.unnoticed():
            ticket, count = next(self._tickets), len(jobs)
            luck, middle = self._random.random(count), self.seconds / np.exp(self.spread**2 / 2)
            times = self._random.lognormal(np.log(middle), self.spread, count)
            used = float(np.sum(times * np.where((luck > FAILS) & (luck < LINGERS), 5.0, 1.0)))
        heapq.heappush(self._events, (self.now() + used, ticket, (reservation, jobs, luck, used)))
        self.busy += used
        self.started += 1
        if self.started % MEASURE_EVERY == 0:
            self._base, self._mark = self.now(), perf_counter()
            self.meter.measure()
        return ticket

    def ended(self, timeout_s: float) -> Sequence[Ended]:
        """Events up to now; the clock jumps to the first if that lies ahead."""
        if self._loaded:
            loaded, self._loaded = self._loaded, []
            return loaded
        now = self.now()
        first = min(self._events[0][0] if self._events else now, now + timeout_s)
        if first > now:
            self._base, self._mark = first, perf_counter()
        now, over = max(now, first), []
        while self._events and self._events[0][0] <= now:
            _, ticket, work = heapq.heappop(self._events)
            over.append(self._settled(ticket, *work))
        return over

    def has_ended(self, _ticket: int) -> bool:
        """What is over has been told."""
        return False

    def kill(self, place: int, tier: Tier) -> None:
        """The worker is gone; a label that was killed settles in vain, as the ledger sees to."""

    def now(self) -> float:
        """Virtual seconds."""
        return self._base + self.meter.share * (perf_counter() - self._mark)

    def busy_share(self) -> float:
        """Of the time so far, what workers spent inside labels."""
        now = self.now()
        ahead = sum(max(0.0, when - now) for when, _, _ in self._events)
        return (self.busy - ahead) / (now * self.count)

    def _settled(
        self, ticket: int, reservation: int, jobs: Sequence[Job], luck: Any, used: float
    ) -> Ended:
        if luck[0] < DIES:
            return Ended(ticket, died=True)
        with self.unnoticed():
            outcomes = [_outcome(job, lot) for job, lot in zip(jobs, luck, strict=True)]
        self.ledger.settle(reservation, outcomes, to_micro(used))
        worked: Worked = worked_of(outcomes, used)
        return Ended(ticket, worked=worked)

    @contextmanager
    def unnoticed(self) -> Any:
        """What the simulation itself takes doesn't count."""
        start = perf_counter()
        with self.meter.counts("ours"):
            yield
        self._mark += perf_counter() - start


def _outcome(job: Job, luck: float) -> Outcome:
    return failed(job) if luck < FAILS else labelled(job)
