"""Slots go to training and come back between purchases, whatever their workers are at."""

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from spring_buyer import scene_with
from spring_campaign import (
    PRICES,
    LocalLedger,
    Springs,
    make_campaign,
    recipe_with,
)

from forgefield.platform.buying import serving
from forgefield.platform.buying.asking import Order
from forgefield.platform.buying.bench import Bench
from forgefield.platform.buying.crew import Ended
from forgefield.platform.buying.dispatch import Dispatcher
from forgefield.platform.buying.labelling import Labelling
from forgefield.platform.rounds.desk import Desk
from forgefield.platform.rounds.supply import Supply
from forgefield.storage.records import Job, Tier


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
