"""Keeps every slot busy with the label that policy wants next, within the budget.

Each label: ask the label book → reserve → run in a slot → the worker settles with the ledger
service. A label that another run has bought is taken at no cost, one that another run is just
buying is asked for again later (`asking`). A worker that dies is charged for what its heartbeat
shows and replaced; a label that overruns what was reserved gets more a few times while the budget
allows, then is killed and charged. No single label stops the rest; a wave of failures does
(`losses`). A decision takes the same time whatever the number of slots, of labels in flight and of
labels to come (tests/benchmarks/dispatch).
"""

from collections.abc import Sequence

from forgefield.platform.buying.asking import Asking, Order
from forgefield.platform.buying.bench import Bench
from forgefield.platform.buying.crew import Crew
from forgefield.platform.buying.deciding import Deciding
from forgefield.platform.buying.flights import Flights, InFlight
from forgefield.platform.buying.ledger_service import LedgerClient
from forgefield.platform.buying.losses import Losses
from forgefield.platform.buying.overruns import Overruns
from forgefield.platform.buying.purchasing import Buy, Pause
from forgefield.platform.buying.purse import Purse
from forgefield.platform.buying.ray_crew import RayCrew
from forgefield.platform.buying.score import Score
from forgefield.platform.buying.slots import Slot
from forgefield.platform.buying.telling import Telling, Watcher
from forgefield.platform.buying.workers import Worked
from forgefield.platform.planning.recipe import LabelSettings
from forgefield.storage.errors import BudgetExhausted
from forgefield.storage.records import Failure, Job
from forgefield.storage.units import to_micro

__all__ = ["Dispatcher", "Order", "Watcher"]
POLL_S = 0.5
PACK_EVERY_S = 5.0
DIED = Failure("TransientFailure", "the worker died, perhaps out of memory")


class Dispatcher:
    """Buys orders over Ray's slots, or any other crew; see the module for what it promises."""

    def __init__(
        self,
        slots: Sequence[Slot] | Crew,
        ledger: LedgerClient,
        settings: LabelSettings,
        watch: Watcher,
    ) -> None:
        self._crew = slots if isinstance(slots, Crew) else RayCrew(slots)
        self._ledger = ledger
        self._bench, self._flights, self._purse = Bench(self._crew), Flights(), Purse(ledger)
        self._score = score = Score.of(ledger.tally())
        self._asking = Asking(ledger, settings.book_least, score)
        self._losses = Losses(ledger, self._asking, score, settings)
        self._deciding = Deciding(score, self._flights, self._purse, settings)
        self._overruns = Overruns(self._crew, ledger, self._flights, self._purse, settings)
        self._telling = Telling(self._crew, score, self._flights, self._asking, watch)
        self._packed = self._crew.now()
        self._stopping = False

    def warm(self) -> None:
        """Start all workers and wait until their libraries are loaded, or it is to stop."""
        self._bench.load_all()
        while self._bench.is_loading and not self._stopping:
            self._collect()

    def stop(self) -> int:
        """Finish what is in flight and buy no more; the labels that are waited for."""
        self._stopping = True
        return self._flights.labels.total()

    def withdraw(self, place: int) -> bool:
        """Start nothing more in a slot; whether nothing runs there, so that it may be lent out."""
        if not self._flights:
            self._collect()  # a worker may have loaded in vain, after the last label was taken
        return self._bench.withdraw(place)

    def restore(self, place: int) -> None:
        """Use a slot again that was withdrawn, if it was."""
        self._bench.restore(place)

    @property
    def is_in_service(self) -> bool:
        """Whether some slot is neither lent out nor given up."""
        return self._bench.is_in_service

    def buy(self, orders: Sequence[Order]) -> bool:
        """Buy until all is bought or nothing fits; raises `WaveOfFailures` after settling.

        False where something else ended it: it was to stop, or no slot is in service.
        """
        self._asking.take_known(orders, self._deciding.expected_cost)
        self._purse.ask()
        while not self._is_over(pause := self._fill(orders), orders):
            self._collect()
            self._asking.bring_back(patient=bool(self._flights) or self._bench.is_loading)
            self._end_overruns()
            self._now_and_then()
        self._ledger.pack()
        if self._losses.wave is not None:
            raise self._losses.wave
        return pause is Pause.STOP and not self._stopping

    def _is_over(self, pause: Pause | None, orders: Sequence[Order]) -> bool:
        """Whether there is nothing to wait for; shows where labelling stands."""
        self._telling.tell(orders, self._purse, now=pause is not None)
        if self._flights or self._is_waiting():
            return False
        return pause is not None or not self._bench.is_loading  # all places are lent out

    def _fill(self, orders: Sequence[Order]) -> Pause | None:
        """Give work to free slots; why it ended, or `None` where there are no more."""
        while not self._is_ending():
            if self._bench.is_empty and self._flights:
                return None
            choice = self._deciding.choose(orders)
            if isinstance(choice, Pause):
                return choice
            if self._bench.is_empty or self._is_loading_enough(orders, choice):
                return None
            self._begin(orders, choice)
        return Pause.STOP

    def _is_loading_enough(self, orders: Sequence[Order], choice: Buy) -> bool:
        """Whether workers that are loading will do for all that is wanted of a tier."""
        tier = orders[choice.need].tier
        if self._bench.is_ready(tier) or not self._bench.loads(tier):
            return False
        wanted = sum(len(order.jobs) for order in orders if order.tier is tier)
        return self._bench.loads(tier) * choice.labels >= wanted

    def _is_ending(self) -> bool:
        return self._stopping or self._losses.wave is not None

    def _is_waiting(self) -> bool:
        """Whether other runs are buying what this one may still get from them."""
        return self._asking.is_waiting and not self._is_ending()

    def _begin(self, orders: Sequence[Order], choice: Buy) -> None:
        """Start in a slot whose worker is ready, or have one loaded."""
        tier = orders[choice.need].tier
        place = self._bench.take(tier)
        if place is None:
            self._bench.load(tier)
        else:
            self._start(place, orders[choice.need], choice)

    def _start(self, place: int, order: Order, choice: Buy) -> None:
        """Reserve and begin the next jobs of an order, if the book and the ledger leave any."""
        asked = tuple(order.jobs.popleft() for _ in range(choice.labels))
        order.alone = max(0, order.alone - len(asked))
        jobs = self._asking.granted(order, asked, self._deciding.expected_cost(order))
        micro = to_micro(choice.core_seconds)
        reservation = self._reserved(order, jobs, micro) if jobs else None
        if reservation is None:
            self._bench.rest(place)
            return
        threads = self._crew.threads(place, order.tier)
        deadline = self._crew.now() + choice.core_seconds / threads
        ticket = self._crew.label(place, order.tier, reservation, jobs)
        flight = InFlight(place, order, jobs, reservation, micro, threads, deadline)
        self._flights.add(ticket, flight)

    def _reserved(self, order: Order, jobs: tuple[Job, ...], micro: int) -> int | None:
        """The reservation; `None`, and the jobs back in their order, if others took the money."""
        try:
            reservation = self._ledger.reserve(jobs, micro)
        except BudgetExhausted:
            self._asking.give_up(jobs)
            order.jobs.extendleft(reversed(jobs))
            self._purse.ask()
            return None
        self._purse.reserved(micro)
        return reservation

    def _collect(self) -> None:
        if not (self._flights or self._bench.is_loading):
            return
        for ended in self._crew.ended(POLL_S):
            flight = self._flights.pop(ended.ticket)
            if flight is None:
                self._bench.arrived(ended)
            elif ended.trouble is not None:
                raise ended.trouble
            elif ended.worked is None:
                self._close(flight, DIED, None)
            else:
                self._settled(flight, ended.worked)
        self._bench.give_up_late(self._crew.now())

    def _settled(self, flight: InFlight, worked: Worked) -> None:
        self._bench.rest(flight.place)
        self._purse.settled(flight.micro, to_micro(worked.used))
        self._score.add(flight.order.tier, worked.done, worked.used, len(flight.jobs))
        failures = dict(worked.failures)
        for job in flight.jobs if failures else ():
            if job.key() in failures:
                self._losses.failed(flight.order, job, failures[job.key()])

    def _end_overruns(self) -> None:
        for flight in self._overruns.hopeless():
            said = f"overran the {flight.core_seconds:.3g} core-seconds reserved for it"
            failure = Failure("NeedsLargerMachine", f"{said}; raise labels.limit_factor")
            self._close(flight, failure, flight.micro)

    def _close(self, flight: InFlight, failure: Failure, used_micro: int | None) -> None:
        """End the worker, close its reservation, and see what became of the jobs."""
        self._crew.kill(flight.place, flight.order.tier)
        self._bench.lost(flight.place, flight.order.tier)
        self._ledger.close_dead(flight.reservation, failure, used_micro)
        self._losses.of_dead(flight, failure)
        self._purse.ask()
        self._bench.rest(flight.place)

    def _now_and_then(self) -> None:
        if self._crew.now() - self._packed > PACK_EVERY_S:
            self._packed = self._crew.now()
            self._ledger.pack_soon()
            self._purse.ask()
