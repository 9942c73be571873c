"""A slow label delays no round that can do without it, and is counted when it comes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import spring_campaign
from spring_campaign import (
    PRICES,
    Campaign,
    Springs,
    recipe_with,
    stages_here,
)

from forgefield.platform.planning.allocation import TARGET
from forgefield.platform.rounds import closing, thinking
from forgefield.platform.rounds.closing import Account
from forgefield.platform.rounds.deciding import Standing
from forgefield.platform.rounds.documents import ended_rounds
from forgefield.storage.frame_store import load_frames
from forgefield.storage.records import Purpose, Tier

TAUGHT = (Purpose.TRAIN, Purpose.CALIBRATION)


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
