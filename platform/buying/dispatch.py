"""Keeps every slot busy with the label that policy wants next, within the budget.

Each label: ask the label book → reserve → run in a slot → the worker settles with the ledger
service. A label that another run has bought is taken at no cost, one that another run is just
buying is asked for again later (`asking`). A worker that
dies is charged for what its heartbeat shows and replaced; a label that overruns what was reserved
gets more a few times while the budget allows, then is killed and charged. No single label stops
the rest; a wave of failures does.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import ray
from ray.exceptions import RayError, RayTaskError

from forgefield.platform.buying.asking import Asking, Order
from forgefield.platform.buying.ledger_service import LedgerClient
from forgefield.platform.buying.purchasing import (
    LARGEST_BATCH,
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
from forgefield.platform.buying.score import Progress, Score
from forgefield.platform.buying.slots import Slot
from forgefield.platform.buying.workers import Worked
from forgefield.platform.planning.recipe import LabelSettings
from forgefield.storage.errors import BudgetExhausted, ForgefieldError, StorageError, WaveOfFailures
from forgefield.storage.ledger.entries import State
from forgefield.storage.records import Failure, Job, Tier
from forgefield.storage.units import from_micro, to_micro

__all__ = ["Dispatcher", "Order"]
POLL_S = 0.5
PACK_EVERY_S = 5.0
LOAD_PATIENCE_S = 120.0

logger = logging.getLogger(__name__)


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
        slots: Sequence[Slot],
        ledger: LedgerClient,
        settings: LabelSettings,
        watch: Watcher,
    ) -> None:
        self._slots = list(slots)
        self._ledger = ledger
        self._settings = settings
        self._watch = watch
        self._in_flight: dict[ray.ObjectRef[Worked], InFlight] = {}
        self._score = Score.of(ledger.tally())
        self._asking = Asking(ledger, settings.book_least, self._score)
        self._attempts: Counter[str] = Counter()
        self._packed = time.monotonic()
        self._stopping = False
        self._wave: WaveOfFailures | None = None

    def warm(self) -> None:
        """Start all workers and wait until their libraries are loaded."""
        loads = [slot.loading(tier) for slot in self._slots for tier in slot.work]
        ray.get(loads)

    def stop(self) -> int:
        """Finish what is in flight and buy no more; the labels that are waited for."""
        self._stopping = True
        return sum(len(flight.jobs) for flight in self._in_flight.values())

    def buy(self, orders: Sequence[Order]) -> None:
        """Buy until all is bought or nothing fits; raises `WaveOfFailures` after settling."""
        self._asking.take_known(orders, self._expected_cost)
        while True:
            pause = self._fill(orders)
            self._watch(self._progress(orders))
            if not self._in_flight and pause is not None and not self._is_waiting():
                break
            self._collect()
            self._asking.bring_back(patient=bool(self._in_flight))
            self._kill_overruns()
            self._pack_now_and_then()
        self._ledger.pack()
        if self._wave is not None:
            raise self._wave

    def _fill(self, orders: Sequence[Order]) -> Pause | None:
        busy = {flight.slot.index for flight in self._in_flight.values()}
        for slot in [slot for slot in self._slots if slot.index not in busy]:
            started = False
            while not started:
                choice = Pause.STOP if self._stopping or self._wave else self._choose(orders)
                if isinstance(choice, Pause):
                    return choice
                if not self._is_ready(slot, orders[choice.need].tier):
                    break
                started = self._start(slot, orders[choice.need], choice)
        return None

    def _is_waiting(self) -> bool:
        """Whether other runs are buying what this one may still get from them."""
        return self._asking.is_waiting and not (self._stopping or self._wave)

    def _choose(self, orders: Sequence[Order]) -> Buy | Pause:
        needs = [self._need(order) for order in orders]
        flights = self._in_flight.values()
        expected = sum(len(f.jobs) * self._expected_cost(f.order) for f in flights)
        money = Money(
            left=from_micro(self._ledger.balance().left_micro),
            returning=max(0.0, sum(flight.core_seconds for flight in flights) - expected),
            in_flight=bool(flights),
        )
        return next_purchase(needs, money, self._settings)

    def _need(self, order: Order) -> Need:
        cost, most = self._expected_cost(order), 1 if order.alone else LARGEST_BATCH
        return Need(order.tier, len(order.jobs), order.planned, cost, order.claim, most)

    def _expected_cost(self, order: Order) -> float:
        score, tier = self._score, order.tier
        return running_cost(order.core_seconds, 2, score.spent[tier], score.bought[tier])

    def _is_ready(self, slot: Slot, tier: Tier) -> bool:
        """Whether the worker is there; a slot whose node is gone is given up, the last with it."""
        loading = slot.loading(tier)
        ready, _ = ray.wait([loading], timeout=LOAD_PATIENCE_S)
        try:
            if ready and ray.get(loading):
                return True
        except RayTaskError:
            raise
        except RayError:
            logger.warning("a %s worker of slot %d died while loading", tier, slot.index)
        slot.kill(tier)
        self._slots.remove(slot)
        if not self._slots:
            raise StorageError("No worker can be started any more; see Ray's dashboard for why.")
        return False

    def _start(self, slot: Slot, order: Order, choice: Buy) -> bool:
        """Reserve and begin the next jobs of an order; False where the book left none to buy."""
        asked = tuple(order.jobs.popleft() for _ in range(choice.labels))
        order.alone = max(0, order.alone - len(asked))
        jobs = self._asking.granted(order, asked, self._expected_cost(order))
        if not jobs:
            return False
        reservation = self._ledger.reserve(jobs, to_micro(choice.core_seconds))
        deadline = time.monotonic() + choice.core_seconds / slot.work[order.tier].threads
        result = slot.worker(order.tier).label.remote(reservation, jobs)
        self._in_flight[result] = InFlight(
            slot, order, jobs, reservation, choice.core_seconds, deadline
        )
        return True

    def _collect(self) -> None:
        if not self._in_flight:
            return
        finished, _ = ray.wait(list(self._in_flight), timeout=POLL_S)
        for result in finished:
            flight = self._in_flight.pop(result)
            try:
                self._settled(flight, ray.get(result))
            except RayTaskError as error:
                raise _ledger_trouble(error) from error
            except RayError:
                failure = Failure("TransientFailure", "the worker died, perhaps out of memory")
                self._close(flight, failure, None)

    def _settled(self, flight: InFlight, worked: Worked) -> None:
        self._score.add(flight.order.tier, worked.done, worked.used, len(flight.jobs))
        failures = dict(worked.failures)
        for job in flight.jobs:
            if job.key() in failures:
                self._failed_job(flight.order, job, failures[job.key()])

    def _kill_overruns(self) -> None:
        now = time.monotonic()
        for result, flight in list(self._in_flight.items()):
            is_over = now > flight.deadline and not ray.wait([result], timeout=0)[0]
            if not is_over:
                continue
            extended = self._extended(flight)
            if extended is not None:
                self._in_flight[result] = extended
                continue
            if now < flight.deadline + self._settings.grace_s:
                continue
            del self._in_flight[result]
            said = f"overran the {flight.core_seconds:.3g} core-seconds reserved for it"
            failure = Failure("NeedsLargerMachine", f"{said}; raise labels.limit_factor")
            self._close(flight, failure, to_micro(flight.core_seconds))

    def _extended(self, flight: InFlight) -> InFlight | None:
        """More money and time for a label on a slow machine, if patience and budget have it."""
        more = flight.core_seconds / (1 + flight.extensions)
        if flight.extensions == self._settings.extensions:
            return None
        try:
            self._ledger.extend(flight.reservation, to_micro(more))
        except BudgetExhausted:
            return None
        return replace(
            flight,
            core_seconds=flight.core_seconds + more,
            deadline=flight.deadline + more / flight.slot.work[flight.order.tier].threads,
            extensions=flight.extensions + 1,
        )

    def _close(self, flight: InFlight, failure: Failure, used_micro: int | None) -> None:
        """End the worker, close its reservation, and see in the ledger what became of the jobs."""
        order = flight.order
        flight.slot.kill(order.tier)
        self._ledger.close_dead(flight.reservation, failure, used_micro)
        self._score.recount_money(self._ledger.tally())
        states = self._ledger.job_states([job.key() for job in flight.jobs])
        lost = [job for job in flight.jobs if states[job.key()].state is not State.DONE]
        self._score.done[order.tier] += len(flight.jobs) - len(lost)
        self._score.bought[order.tier] += len(flight.jobs) - len(lost)
        if len(lost) > 1:
            self._asking.give_up(lost)
            order.jobs.extendleft(reversed(lost))
            order.alone += len(lost)
            return
        for job in lost:
            self._failed_job(order, job, states[job.key()].failure or failure)

    def _failed_job(self, order: Order, job: Job, failure: Failure) -> None:
        self._attempts[job.key()] += 1
        self._asking.give_up([job])
        if is_worth_retrying(failure.kind, self._attempts[job.key()], self._settings):
            order.jobs.append(job)
            return
        tier, score = order.tier, self._score
        score.failed[tier] += 1
        if self._wave is None and is_wave(score.failed[tier], score.done[tier], self._settings):
            self._wave = WaveOfFailures(
                f"{score.failed[tier]} {tier} labels failed against {score.done[tier]} done; the "
                f"last said {failure.kind}: {failure.message}. Mend the cause, then run again: "
                "what was bought is kept."
            )

    def _pack_now_and_then(self) -> None:
        if time.monotonic() - self._packed > PACK_EVERY_S:
            self._packed = time.monotonic()
            self._ledger.pack_soon()

    def _progress(self, orders: Sequence[Order]) -> Progress:
        in_flight: Counter[Tier] = Counter()
        for flight in self._in_flight.values():
            in_flight[flight.order.tier] += len(flight.jobs)
        queued: Counter[Tier] = Counter()
        for order in orders:
            queued[order.tier] += 0 if order.claim is Claim.SPARE else len(order.jobs)
        left = from_micro(self._ledger.balance().left_micro)
        flights = self._in_flight.values()
        cores = sum(flight.slot.work[flight.order.tier].threads for flight in flights)
        waiting = "" if flights else self._asking.waiting_for
        return replace(self._score.progress(in_flight, queued, left, cores), waiting=waiting)


def _ledger_trouble(error: RayTaskError) -> Exception:
    """What a worker couldn't settle: the ledger's own error, or its death."""
    if isinstance(error.cause, ForgefieldError):
        return error.cause
    return StorageError(
        f"A label could not be settled ({str(error.cause)[:200]}). Run the same command again: "
        "its result is spooled and will be taken up."
    )
