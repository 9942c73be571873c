"""When a round may train: never on what a stop or a kill cut short."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import spring_campaign
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
from forgefield.platform.planning.allocation import TARGET
from forgefield.platform.rounds import closing, thinking, waiting
from forgefield.platform.rounds.chooser import Chooser
from forgefield.platform.rounds.closing import Account
from forgefield.platform.rounds.deciding import Standing
from forgefield.platform.rounds.desk import Desk
from forgefield.platform.rounds.documents import RoundFolder, ended_rounds
from forgefield.platform.rounds.supply import Supply
from forgefield.platform.rounds.thinking import Thinker
from forgefield.storage.frame_store import load_frames
from forgefield.storage.records import Job, Outcome, Purpose, Tier
from forgefield.storage.units import to_micro

POLLS = 4
TAUGHT = (Purpose.TRAIN, Purpose.CALIBRATION)


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


class SlowHoldout(Springs):
    """One hold-out label takes until round 0 has ended, 20 s at most."""

    ended_before: list[bool] = []  # noqa: RUF012  (filled once, by whichever crew labels)
    waits_for = Path()
    lock = threading.Lock()

    def _labelled(self, place: int, ticket: int, reservation: int, jobs: Any) -> None:
        with self.lock:
            slow = place == 0 and jobs[0].purpose is Purpose.HOLDOUT and not self.ended_before
            if slow:
                self.ended_before.append(False)
        if slow:
            threads = threading.Event()
            for _ in range(400):
                if self.waits_for.exists() or threads.wait(0.05):
                    break
            self.ended_before[0] = self.waits_for.exists()
        super()._labelled(place, ticket, reservation, jobs)


def test_a_slow_holdout_label_delays_no_round_but_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spring_campaign, "Springs", SlowHoldout)
    monkeypatch.setattr(SlowHoldout, "ended_before", [])
    monkeypatch.setattr(SlowHoldout, "waits_for", tmp_path / "rounds/0/round.json")
    campaign = Campaign(tmp_path, "60ccsd", recipe_with(rounds={"lend": 1}), target=1000.0)
    campaign.run()
    assert SlowHoldout.ended_before == [True]
    planned = campaign.plan.labels(Tier.CCSD, Purpose.HOLDOUT)
    frames = load_frames(campaign.folder.frames, tuple(Purpose)).of_purpose(Purpose.HOLDOUT)
    assert len(frames) == planned
    (record,) = ended_rounds(campaign.folder)
    free = campaign.plan.cap - record.spent
    assert record.left <= free - PRICES[Tier.CCSD] * (1 - 1e-9), "the slow one is paid, too"


class SlowLabel(Springs):
    """The last label of round 0 is settled while the round trains."""

    froze = Path()
    settled = threading.Event()
    slow: set[str] = set()  # noqa: RUF012  (filled once, by whichever crew labels)

    def _labelled(self, place: int, ticket: int, reservation: int, jobs: Any) -> None:
        kind = jobs[0].method.tier, jobs[0].purpose
        is_slow = kind == (Tier.CCSD, Purpose.TRAIN) and not self.slow
        if is_slow:
            self.slow.add(jobs[0].key())
            for _ in range(400):
                if self.froze.exists() or self.settled.wait(0.05):
                    break
        super()._labelled(place, ticket, reservation, jobs)
        if is_slow:
            self.settled.set()


@contextmanager
def stages_afterwards(*how: Any) -> Iterator[Any]:
    """Training that ends after the slow label."""
    assert SlowLabel.settled.wait(20)
    with stages_here(*how) as runner:
        yield runner


def test_labels_that_settle_while_a_round_trains_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spring_campaign, "Springs", SlowLabel)
    monkeypatch.setattr(SlowLabel, "froze", tmp_path / "rounds/0/frames.zarr")
    monkeypatch.setattr(SlowLabel, "settled", threading.Event())
    monkeypatch.setattr(SlowLabel, "slow", set())
    counted, paid = [], []

    def watched(posterior: Any, standing: Standing, *rules: Any) -> Any:
        counted.append(standing.counts.target)
        return decided(posterior, standing, *rules)

    def ended(*everything: Any) -> Any:
        account = next(each for each in everything if isinstance(each, Account))
        own = [r for r in account.tally if r.tier == TARGET and r.purpose in TAUGHT]
        paid.append(sum(row.done + row.in_flight for row in own))
        return closing.ended(*everything)

    decided = closing.decided
    monkeypatch.setattr(closing, "decided", watched)
    monkeypatch.setattr(thinking, "ended", ended)
    recipe = recipe_with(rounds={"patience": 0.2, "ahead": 0.0})
    campaign = Campaign(tmp_path, "60ccsd", recipe, stages=stages_afterwards)
    campaign.run()
    first = ended_rounds(campaign.folder)[0]
    assert first.counts.target == paid[0] - 1, "the slow one was not trained on"
    asked, settled = counted[::2], counted[1::2]
    assert settled == paid
    assert asked[0] == paid[0], "also where it is asked what to buy ahead of the training"
