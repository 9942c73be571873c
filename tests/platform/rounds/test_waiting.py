"""When a round may train: never on what a stop or a kill cut short."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from spring_campaign import (
    PRICES,
    Campaign,
    LentSlot,
    LocalLedger,
    Quiet,
    Springs,
    _label,
    make_campaign,
    recipe_with,
    stages_here,
)

from forgefield.platform.buying import serving
from forgefield.platform.buying.dispatch import Dispatcher
from forgefield.platform.buying.labelling import Labelling
from forgefield.platform.interrupts import Interrupted
from forgefield.platform.rounds import waiting
from forgefield.platform.rounds.chooser import Chooser
from forgefield.platform.rounds.desk import Desk
from forgefield.platform.rounds.documents import RoundFolder
from forgefield.platform.rounds.supply import Supply
from forgefield.platform.rounds.thinking import Thinker
from forgefield.storage.records import Job, Outcome, Purpose, Tier
from forgefield.storage.units import to_micro

POLLS = 4


class StillWaiting(Exception):
    """Raised instead of polling on."""


@dataclass
class Scene:
    """A thinker, its phase and its desk, with nobody buying."""

    thinker: Thinker
    phase: Labelling
    desk: Desk
    supply: Supply
    polls: int = 0

    def check(self) -> None:
        """Stop after a signal, and after some polls."""
        self.phase.leave_if_stopped()
        self.polls += 1
        if self.polls == POLLS:
            raise StillWaiting

    def waits_for(self, jobs: list[Job], *how: Any) -> bool:
        """Whether the thinker goes on waiting."""
        self.polls = 0
        try:
            self.thinker._wait_for(jobs, *how)
        except StillWaiting:
            return True
        return False


def scene_of(root: Path, ledger: LocalLedger) -> Scene:
    folder, plan, pool = make_campaign(root, "80ccsd", recipe_with())
    ledger.set_cap(plan.cap_micro, "test")
    supply, crew = Supply.of(pool, plan, lambda _: ()), Springs(1, ledger)
    slots: Any = [LentSlot(0, crew)]
    settings: Any = plan.recipe.labels
    phase = Labelling(
        Dispatcher(crew, ledger, settings, lambda _: None),  # type: ignore[arg-type]
        ledger,  # type: ignore[arg-type]
        Quiet(),
        1,
        slots,
    )
    for order in supply.firm:
        order.jobs = deque(phase.is_wanted(order.jobs))
    desk = Desk(supply.firm, PRICES)
    scene = Scene(None, phase, desk, supply)  # type: ignore[arg-type]
    chooser = Chooser(folder, plan, supply)
    scene.thinker = Thinker(chooser, phase, desk, Quiet(), scene.check, stages_here)
    return scene


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalLedger]:
    monkeypatch.setattr(waiting, "POLL_S", 0.01)
    folder, _, _ = make_campaign(tmp_path, "80ccsd", recipe_with())
    opened = LocalLedger(folder, lambda _: None)
    yield opened
    opened.close()


def validation(scene: Scene) -> list[Job]:
    return [job for job in scene.supply.first if job.purpose is Purpose.VALIDATION]


def test_what_a_stop_cut_short_is_not_frozen(tmp_path: Path, ledger: LocalLedger) -> None:
    scene = scene_of(tmp_path, ledger)
    jobs = list(scene.supply.jobs[Tier.CCSD][:3])
    scene.desk.want(jobs)
    scene.desk.settle()
    scene.desk.starve()
    scene.phase.on_signal(2, None)
    with pytest.raises(Interrupted):
        scene.thinker._wait_for(jobs)
    place = RoundFolder.of(scene.thinker.folder, 0)
    with pytest.raises(Interrupted):
        scene.thinker._frozen(place)
    assert not place.frames.exists()


def test_a_buyer_that_was_stopped_says_nothing_of_money(
    tmp_path: Path, ledger: LocalLedger
) -> None:
    scene = scene_of(tmp_path, ledger)
    scene.desk.want(scene.supply.jobs[Tier.CCSD][:1])
    scene.desk.settle()
    scene.phase.on_signal(2, None)
    serving._buy(scene.phase, scene.desk)
    assert scene.desk.starved_at < scene.desk.applied


def bought(ledger: LocalLedger, jobs: list[Job], *, at_work: int) -> None:
    """Settle all but the last so many, which are at work."""
    for place, job in enumerate(jobs):
        reservation = ledger.reserve([job], to_micro(10.0))
        if place < len(jobs) - at_work:
            ledger.settle(reservation, [Outcome(job, _label(job))], to_micro(1.0))


def test_cheap_labels_that_are_there_stand_in_for_no_slow_dear_ones(
    tmp_path: Path, ledger: LocalLedger
) -> None:
    scene = scene_of(tmp_path, ledger)
    dear, cheap = scene.supply.jobs[Tier.CCSD], list(scene.supply.jobs[Tier.DFT][:30])
    bought(ledger, cheap, at_work=1)
    bought(ledger, list(dear[:4]), at_work=1)
    assert not scene.waits_for([*dear[:4], *cheap], 0.1), "one of each kind is slow"
    bought(ledger, list(dear[4:6]), at_work=1)
    assert scene.waits_for([*dear[:6], *cheap], 0.1), "two of six are, whatever the others are"
    assert not scene.waits_for([*dear[:6], *cheap], 0.4)
    assert scene.waits_for([*dear[:6], *cheap], 0.4, {(Tier.CCSD, Purpose.TRAIN): 5})
    assert scene.waits_for([*dear[:7], *cheap], 0.4), "one isn't even at work"


def test_a_slow_validation_label_delays_no_round_unless_it_is_of_the_fewest(
    tmp_path: Path, ledger: LocalLedger
) -> None:
    scene = scene_of(tmp_path, ledger)
    jobs = validation(scene)
    assert len(jobs) > 2
    bought(ledger, jobs, at_work=1)
    fewest = {(Tier.CCSD, Purpose.VALIDATION): len(jobs) - 1}
    assert not scene.waits_for(jobs, 0.1, fewest)
    assert scene.waits_for(jobs, 0.1, {(Tier.CCSD, Purpose.VALIDATION): len(jobs)})
    assert scene.waits_for(jobs), "the end waits for all"


def test_labels_that_a_kill_cut_off_are_waited_for(tmp_path: Path) -> None:
    folder, plan, pool = make_campaign(tmp_path, "80ccsd", recipe_with())
    killed = LocalLedger(folder, lambda _: None)
    killed.set_cap(plan.cap_micro, "test")
    first = Supply.of(pool, plan, lambda _: ()).first
    for job in first:
        if job.purpose is Purpose.VALIDATION:
            killed.reserve([job], to_micro(10.0))
    killed.close()
    again = LocalLedger(folder, lambda _: None)
    try:
        scene = scene_of(tmp_path, again)
        jobs = validation(scene)
        states = again.job_states([job.key() for job in jobs])
        assert {state.failure.kind for state in states.values()} == {"TransientFailure"}
        assert scene.waits_for(jobs)
        scene.desk.orders[0].given_up.update(job.key() for job in jobs)
        assert not scene.waits_for(jobs), "nobody tries them again"
    finally:
        again.close()


def test_only_what_was_heard_of_can_be_starved(tmp_path: Path, ledger: LocalLedger) -> None:
    """The last wish comes while the buyer ends without money for the earlier ones."""
    scene = scene_of(tmp_path, ledger)
    early, late = scene.supply.jobs[Tier.CCSD][:1], list(scene.supply.jobs[Tier.CCSD][1:2])
    scene.desk.want(early)
    scene.desk.settle()

    def buy(_orders: object) -> bool:
        scene.desk.want(late)
        return True

    phase: Any = SimpleNamespace(
        dispatcher=SimpleNamespace(buy=buy), say_news=lambda: None, stopped=False, slots=()
    )
    serving._buy(phase, scene.desk)
    assert scene.desk.starved_at == 1
    assert scene.waits_for(late)
    scene.desk.settle()
    scene.desk.starve()
    assert not scene.waits_for(late)


def test_a_run_that_had_stopped_asks_for_nothing_again(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, "60ccsd", recipe_with(), target=1000.0)
    record = campaign.run()
    asked: list[int] = []

    class Watched(Desk):
        def want(self, jobs: Any, *, ahead: bool = False) -> None:
            asked.append(len(jobs))
            super().want(jobs, ahead=ahead)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("forgefield.platform.rounds.driving.Desk", Watched)
        assert Campaign(tmp_path, "60ccsd", recipe_with(), target=1000.0).run() == record
    assert not asked
