"""Slots and wishes change between purchases, whatever workers and other runs are at."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from spring_campaign import (
    PRICES,
    LentSlot,
    LocalLedger,
    Quiet,
    Springs,
    make_campaign,
    recipe_with,
)

from forgefield.platform.buying import asking, serving
from forgefield.platform.buying.asking import Order
from forgefield.platform.buying.bench import Bench
from forgefield.platform.buying.crew import Ended
from forgefield.platform.buying.dispatch import Dispatcher
from forgefield.platform.buying.labelling import Labelling
from forgefield.platform.buying.shared_labels import Asked
from forgefield.platform.buying.workers import worked_of
from forgefield.platform.rounds.desk import Desk
from forgefield.platform.rounds.supply import Supply
from forgefield.storage.records import Failure, Job, Outcome, Tier
from forgefield.storage.units import to_micro


def test_a_slot_whose_worker_loaded_in_vain_can_be_lent(tmp_path: Path) -> None:
    """The first slot labels everything while the second one's worker still loads."""
    folder, plan, pool = make_campaign(tmp_path, "80ccsd", recipe_with())
    ledger = LocalLedger(folder, lambda _: None)
    crew = Springs(2, ledger, loads_s=0.2)
    try:
        ledger.set_cap(plan.cap_micro, "test")
        dispatcher = Dispatcher(crew, ledger, plan.recipe.labels, lambda _: None)  # type: ignore[arg-type]
        jobs = deque(Supply.of(pool, plan, lambda _: ()).jobs[Tier.CCSD][:2])
        dispatcher.buy([Order(jobs, 2, Tier.CCSD, PRICES[Tier.CCSD])])
        assert not any(1 in places for places in crew.seen)
        end = time.monotonic() + 10
        while not dispatcher.withdraw(1):
            assert time.monotonic() < end, "it is never given back"
            time.sleep(0.05)
    finally:
        crew.close()
        ledger.close()


@dataclass
class Scene:
    """A buyer's parts without a thinker."""

    ledger: LocalLedger
    crew: Springs
    phase: Labelling
    jobs: Sequence[Job]

    def close(self) -> None:
        """End the threads and leave the ledger."""
        self.crew.close()
        self.ledger.close()


def scene_with(
    root: Path, crew_of: Callable[[LocalLedger], Springs], ledger_of: Any = None
) -> Scene:
    folder, plan, pool = make_campaign(root, "80ccsd", recipe_with())
    ledger = LocalLedger(folder, lambda _: None)
    ledger.set_cap(plan.cap_micro, "test")
    seen, crew = ledger_of(ledger) if ledger_of else ledger, crew_of(ledger)
    box: list[Labelling] = []

    def watch(_: object) -> None:
        for listener in box[0].listeners:
            listener()

    dispatcher = Dispatcher(crew, seen, plan.recipe.labels, watch)
    slots: Any = [LentSlot(index, crew) for index in range(crew.count)]
    box.append(Labelling(dispatcher, seen, Quiet(), 1, slots))
    return Scene(ledger, crew, box[0], Supply.of(pool, plan, lambda _: ()).jobs[Tier.CCSD])


class DiesLoading(Springs):
    """No worker of place 0 ever loads."""

    def load(self, place: int, tier: Tier) -> int:
        """Dead at once, in place 0."""
        if place:
            return super().load(place, tier)
        ticket = next(self._tickets)
        self._over.put(Ended(ticket, died=True))
        return ticket


def test_labels_do_not_starve_while_the_last_slot_is_lent(tmp_path: Path) -> None:
    """The other slot has been given up: there is money, and for now nobody to label."""
    scene = scene_with(tmp_path, lambda ledger: DiesLoading(2, ledger, loads_s=0.005))
    try:
        phase, desk = scene.phase, Desk((), PRICES)
        phase.dispatcher.warm()
        desk.want(scene.jobs[:2])
        desk.settle()
        phase.borrowed = 1
        serving._lend_and_take_back(phase)
        assert phase.slots[1].lent
        assert not phase.dispatcher.is_in_service
        assert serving._is_idle(phase, desk)
        serving._buy(phase, desk)
        assert desk.starved_at < desk.applied
        phase.borrowed = 0
        serving._lend_and_take_back(phase)
        serving._buy(phase, desk)
        assert sum(row.done for row in scene.ledger.tally()) == 2
    finally:
        scene.close()


class OneSlow(Springs):
    """The label in the last place takes until `go`."""

    go = threading.Event()

    def _labelled(self, place: int, ticket: int, reservation: int, jobs: Sequence[Job]) -> None:
        if place == self.count - 1:
            self.go.wait(20)
        super()._labelled(place, ticket, reservation, jobs)


@pytest.mark.parametrize(("count", "patience_s"), [(2, 60.0), (3, 0.5)])
def test_the_slots_whose_labels_end_first_are_lent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, patience_s: float
) -> None:
    """Three slots, a slow label in the last: two are lent, and they alone wait for work."""
    monkeypatch.setattr(OneSlow, "go", threading.Event())
    scene = scene_with(tmp_path, lambda ledger: OneSlow(3, ledger, 0.05, loads_s=0.0))
    phase, crew, desk = scene.phase, scene.crew, Desk((), PRICES)
    told: list[Any] = []

    def borrow() -> None:
        desk.want(scene.jobs[:9])
        end = time.monotonic() + 20
        while 2 not in crew.at_work and time.monotonic() < end:
            time.sleep(0.01)
        with serving.lent(phase, count, lambda: None, patience_s) as cores:
            told.append((cores, [slot.lent for slot in phase.slots], 2 in crew.at_work))
        OneSlow.go.set()
        while sum(row.done for row in scene.ledger.tally()) < 9 and time.monotonic() < end:
            time.sleep(0.05)
        desk.close()

    thread = threading.Thread(target=borrow)
    thread.start()
    try:
        phase.dispatcher.warm()
        serving.serve(phase, desk)
        assert told == [(2, [True, True, False], True)]
        assert not any(slot.lent for slot in phase.slots)
        assert sum(row.done for row in scene.ledger.tally()) == 9, "all slots label again"
    finally:
        OneSlow.go.set()
        thread.join()
        scene.close()


def test_of_idle_slots_the_last_is_lent_and_the_others_go_on(tmp_path: Path) -> None:
    scene = scene_with(tmp_path, lambda ledger: Springs(2, ledger, loads_s=0.0))
    phase = scene.phase
    try:
        phase.dispatcher.warm()
        phase.borrowed = 1
        serving._lend_and_take_back(phase)
        assert [slot.lent for slot in phase.slots] == [False, True], "of idle ones the last"
        desk = Desk((), PRICES)
        desk.want(scene.jobs[:2])
        desk.settle()
        serving._buy(phase, desk)
        assert sum(row.done for row in scene.ledger.tally()) == 2
        phase.borrowed = 0
        serving._lend_and_take_back(phase)
        assert not any(slot.lent for slot in phase.slots)
    finally:
        scene.close()


def test_a_place_that_is_wanted_back_while_a_label_runs_there_stays_busy() -> None:
    crew: Any = SimpleNamespace(places=[0], load=lambda *_: 1, now=lambda: 0.0)
    bench = Bench(crew)
    bench.load(Tier.CCSD)
    bench.arrived(Ended(1))
    assert bench.take(Tier.CCSD) == 0
    assert not bench.withdraw(0)
    bench.restore(0)
    assert bench.is_empty
    bench.rest(0)
    assert bench.take(Tier.CCSD) == 0, "its worker is still there"


@dataclass
class SlowToReturn:
    """A slot that is away, and doesn't come back while it is looked at."""

    index: int
    lent: bool = True
    asked: bool = False

    def come_back(self) -> bool:
        """Its cores are asked for, and not there yet."""
        self.asked = True
        return False

    def stay_away(self) -> None:
        """They aren't asked for any more."""
        self.asked = False


def test_of_slots_that_are_away_those_lent_on_hold_no_cores() -> None:
    """Else training would wait for ever for cores that slots on their way back hold."""
    slots: Any = [SlowToReturn(index) for index in range(3)]
    phase = Labelling(SimpleNamespace(), None, None, slots=slots)  # type: ignore[arg-type]
    for borrowed, asked in ((2, 1), (2, 1), (0, 3), (3, 0), (1, 2)):
        phase.borrowed = borrowed
        serving._lend_and_take_back(phase)
        assert sum(slot.asked for slot in slots) == asked


class NeverLabels(Springs):
    """No label ever comes, and each might the next time."""

    tries = 0
    then: Callable[[], None] = staticmethod(lambda: None)

    def _labelled(self, place: int, ticket: int, reservation: int, jobs: Sequence[Job]) -> None:
        self.tries += 1
        self.then()
        outcomes = [Outcome(job, Failure("TransientFailure", "try again")) for job in jobs]
        self.ledger.settle(reservation, outcomes, to_micro(0.01))
        self.at_work.discard(place)
        self._over.put(Ended(ticket, worked=worked_of(outcomes, 0.01)))


def test_a_failed_label_is_pending_until_it_is_given_up(tmp_path: Path) -> None:
    pending: list[bool] = []
    scene = scene_with(tmp_path, lambda ledger: NeverLabels(1, ledger))
    try:
        desk, key = Desk((), PRICES), scene.jobs[0].key()
        scene.crew.then = lambda: pending.append(desk.is_pending(key))  # type: ignore[attr-defined]
        desk.want(scene.jobs[:1])
        desk.settle()
        scene.phase.dispatcher.buy(desk.orders)
        assert len(pending) > 1, "it was tried again"
        assert all(pending)
        assert not desk.is_pending(key)
    finally:
        scene.close()


def test_what_is_dropped_in_flight_is_not_tried_again(tmp_path: Path) -> None:
    scene = scene_with(tmp_path, lambda ledger: NeverLabels(1, ledger))
    try:
        desk = Desk((), PRICES)
        scene.phase.listeners.append(desk.settle)

        def drop() -> None:
            desk.drop()
            time.sleep(0.8)  # the buyer looks up meanwhile

        scene.crew.then = drop  # type: ignore[attr-defined]
        desk.want(scene.jobs[:1])
        desk.settle()
        scene.phase.dispatcher.buy(desk.orders)
        assert scene.crew.tries == 1  # type: ignore[attr-defined]
    finally:
        scene.close()


class BusyElsewhere:
    """A ledger by which another run buys everything until `free`."""

    def __init__(self, ledger: LocalLedger) -> None:
        self._ledger, self.free = ledger, threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def ask(self, jobs: Sequence[Job], *, claim: bool) -> Asked:  # noqa: ARG002
        """Busy with run `other`."""
        keys = tuple(job.key() for job in jobs)
        if self.free.is_set():
            return Asked(granted=keys)
        return Asked(busy=keys, holders=("other",) * len(keys))


def test_nothing_is_bought_after_the_end_that_another_run_gave_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "ASK_AGAIN_S", 0.1)
    books: list[BusyElsewhere] = []

    def ledger_of(ledger: LocalLedger) -> BusyElsewhere:
        books.append(BusyElsewhere(ledger))
        return books[0]

    scene = scene_with(tmp_path, lambda ledger: Springs(1, ledger, loads_s=0.01), ledger_of)
    desk = Desk((), PRICES)

    def think() -> None:
        desk.want(scene.jobs[:3])
        time.sleep(0.5)
        desk.close()
        time.sleep(0.5)
        books[0].free.set()

    thread = threading.Thread(target=think)
    thread.start()
    try:
        serving.serve(scene.phase, desk)
        assert not books[0].free.is_set(), "the end waits for no other run"
        thread.join()
        assert sum(row.done for row in scene.ledger.tally()) == 0
    finally:
        thread.join()
        scene.close()
