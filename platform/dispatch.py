"""Keeps every slot busy with the label that policy wants next, within the budget.

Each label: reserve → run in a slot → the worker settles with the ledger service. A worker that
dies is charged for what its heartbeat shows and replaced; a label that overruns what was reserved
gets more a few times while the budget allows, then is killed and charged. No single label stops
the rest; a wave of failures does.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayActorError, RayTaskError
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from forgefield.platform.actors import LabelJobs, LedgerService, Worked
from forgefield.platform.purchasing import (
    Buy,
    Claim,
    Money,
    Need,
    Pause,
    is_wave,
    is_worth_retrying,
    next_purchase,
    running_cost,
)
from forgefield.platform.recipe import LabelSettings
from forgefield.platform.score import Progress, Score
from forgefield.platform.slots import Slot
from forgefield.storage.errors import BudgetExhausted, WaveOfFailures
from forgefield.storage.ledger_records import Balance, TierTally
from forgefield.storage.records import Failure, Job, Tier
from forgefield.storage.spool import last_beat
from forgefield.storage.units import from_micro, to_micro

POLL_S = 0.5
PACK_EVERY_S = 5.0


@dataclass(slots=True)
class Order:
    """Jobs of one tier still to be bought of `planned`; `core_seconds` is the plan's for one."""

    jobs: deque[Job]
    planned: int
    tier: Tier
    core_seconds: float
    claim: Claim = Claim.ELASTIC


@dataclass(frozen=True, slots=True)
class InFlight:
    """One reservation at work."""

    slot: Slot
    order: Order
    jobs: tuple[Job, ...]
    reservation: int
    core_seconds: float
    deadline: float
    extensions: int = 0


Watcher = Callable[[Progress], None]


class Dispatcher:
    """Buys orders over a fixed set of slots; see the module for what it promises."""

    def __init__(
        self,
        strategies: Sequence[PlacementGroupSchedulingStrategy],
        ledger: "ActorHandle[LedgerService]",
        work: dict[Tier, LabelJobs],
        settings: LabelSettings,
        tally: Sequence[TierTally],
        watch: Watcher,
    ) -> None:
        self._slots = [
            Slot(index, strategy, work, ledger) for index, strategy in enumerate(strategies)
        ]
        self._ledger = ledger
        self._work = work
        self._settings = settings
        self._watch = watch
        self._in_flight: dict[ray.ObjectRef[Worked], InFlight] = {}
        self._score = Score.of(tally)
        self._attempts: Counter[str] = Counter()
        self._packed = time.monotonic()
        self._stopping = False

    def warm(self) -> None:
        """Start all workers and wait until their libraries are loaded."""
        workers = [slot.worker(tier) for slot in self._slots for tier in self._work]
        ray.get([worker.ready.remote() for worker in workers])

    def stop(self) -> None:
        """Finish what is in flight and buy no more."""
        self._stopping = True

    def buy(self, orders: Sequence[Order]) -> None:
        """Buy until all is bought or nothing fits; raises `WaveOfFailures`."""
        while True:
            pause = self._fill(orders)
            self._watch(self._progress(orders))
            if not self._in_flight and pause is not None:
                break
            self._collect()
            self._kill_overruns()
            self._pack_now_and_then()
        ray.get(self._ledger.pack.remote())

    def balance(self) -> Balance:
        """Money as the ledger knows it."""
        balance: Balance = ray.get(self._ledger.call.remote("balance"))
        return balance

    def _fill(self, orders: Sequence[Order]) -> Pause | None:
        busy = {flight.slot.index for flight in self._in_flight.values()}
        for slot in self._slots:
            if slot.index in busy:
                continue
            choice = Pause.STOP if self._stopping else self._choose(orders)
            if isinstance(choice, Pause):
                return choice
            self._start(slot, orders[choice.need], choice)
        return None

    def _choose(self, orders: Sequence[Order]) -> Buy | Pause:
        needs = [
            Need(o.tier, len(o.jobs), o.planned, self._expected_cost(o), o.claim) for o in orders
        ]
        flights = self._in_flight.values()
        expected = sum(len(f.jobs) * self._expected_cost(f.order) for f in flights)
        money = Money(
            left=from_micro(self.balance().left_micro),
            returning=max(0.0, sum(flight.core_seconds for flight in flights) - expected),
            in_flight=bool(flights),
        )
        return next_purchase(needs, money, self._settings)

    def _expected_cost(self, order: Order) -> float:
        score, tier = self._score, order.tier
        return running_cost(order.core_seconds, 2, score.spent[tier], score.done[tier])

    def _start(self, slot: Slot, order: Order, choice: Buy) -> None:
        jobs = tuple(order.jobs.popleft() for _ in range(choice.labels))
        reserve = self._ledger.call.remote("reserve", jobs, to_micro(choice.core_seconds))
        try:
            reservation: int = ray.get(reserve)
        except RayTaskError as error:
            order.jobs.extendleft(reversed(jobs))
            raise error.cause if isinstance(error.cause, BudgetExhausted) else error from None
        worker = slot.worker(order.tier)
        ray.get(worker.ready.remote())
        now = time.monotonic()
        wall_limit = choice.core_seconds / self._work[order.tier].threads
        result = worker.label.remote(reservation, jobs)
        self._in_flight[result] = InFlight(
            slot, order, jobs, reservation, choice.core_seconds, now + wall_limit
        )

    def _collect(self) -> None:
        finished, _ = ray.wait(list(self._in_flight), timeout=POLL_S)
        for result in finished:
            flight = self._in_flight.pop(result)
            try:
                self._settled(flight, ray.get(result))
            except RayActorError:
                self._died(flight)

    def _settled(self, flight: InFlight, worked: Worked) -> None:
        self._score.add(flight.order.tier, worked.done, worked.used, len(flight.jobs))
        failures = dict(worked.failures)
        for job in flight.jobs:
            if job.key() in failures:
                self._failed_job(flight.order, job, failures[job.key()])

    def _died(self, flight: InFlight) -> None:
        failure = Failure("TransientFailure", "the worker died; its node may be short of memory")
        used = last_beat(self._work[flight.order.tier].spool, flight.reservation)
        self._charge(flight, failure, used)

    def _kill_overruns(self) -> None:
        now = time.monotonic()
        for result, flight in list(self._in_flight.items()):
            if now <= flight.deadline:
                continue
            extended = self._extended(flight)
            if extended is not None:
                self._in_flight[result] = extended
                continue
            ray.kill(flight.slot.worker(flight.order.tier))
            del self._in_flight[result]
            limit = f"overran the {flight.core_seconds:.0f} core-seconds reserved for it"
            failure = Failure("NeedsLargerMachine", f"{limit}; raise labels.limit_factor")
            self._charge(flight, failure, to_micro(flight.core_seconds))

    def _extended(self, flight: InFlight) -> InFlight | None:
        """More money and time for a label on a slow machine, if patience and budget have it."""
        more = flight.core_seconds / (1 + flight.extensions)
        if flight.extensions == self._settings.extensions:
            return None
        try:
            ray.get(self._ledger.call.remote("extend", flight.reservation, to_micro(more)))
        except RayTaskError as error:
            if isinstance(error.cause, BudgetExhausted):
                return None
            raise
        threads = self._work[flight.order.tier].threads
        return replace(
            flight,
            core_seconds=flight.core_seconds + more,
            deadline=flight.deadline + more / threads,
            extensions=flight.extensions + 1,
        )

    def _charge(self, flight: InFlight, failure: Failure, used_micro: int) -> None:
        flight.slot.forget(flight.order.tier)
        settled = not ray.get(
            self._ledger.call.remote("fail", flight.reservation, failure, used_micro)
        )
        if settled:
            self._score.done[flight.order.tier] += len(flight.jobs)
            return
        self._score.spent[flight.order.tier] += from_micro(used_micro)
        for job in flight.jobs:
            self._failed_job(flight.order, job, failure)

    def _failed_job(self, order: Order, job: Job, failure: Failure) -> None:
        self._attempts[job.key()] += 1
        if is_worth_retrying(failure.kind, self._attempts[job.key()], self._settings):
            order.jobs.append(job)
            return
        tier, score = order.tier, self._score
        score.failed[tier] += 1
        if is_wave(score.failed[tier], score.done[tier], self._settings):
            raise WaveOfFailures(
                f"{score.failed[tier]} {tier} labels failed against {score.done[tier]} done; the "
                f"last said {failure.kind}: {failure.message}. Mend the cause, then run again: "
                "what was bought is kept."
            )

    def _pack_now_and_then(self) -> None:
        if time.monotonic() - self._packed > PACK_EVERY_S:
            self._packed = time.monotonic()
            self._ledger.pack.remote()

    def _progress(self, orders: Sequence[Order]) -> Progress:
        in_flight: Counter[Tier] = Counter()
        for flight in self._in_flight.values():
            in_flight[flight.order.tier] += len(flight.jobs)
        queued: Counter[Tier] = Counter()
        for order in orders:
            queued[order.tier] += 0 if order.claim is Claim.SPARE else len(order.jobs)
        left = from_micro(self.balance().left_micro)
        cores = sum(self._work[f.order.tier].threads for f in self._in_flight.values())
        return self._score.progress(in_flight, queued, left, cores)
