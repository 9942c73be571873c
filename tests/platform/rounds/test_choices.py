"""What a round wants: saved whole, nested at random, asked for once."""

import os
from pathlib import Path

import numpy as np
import pytest
from spring_campaign import MOLECULE, make_campaign, recipe_with

from forgefield.platform.choosing.picking import Arm
from forgefield.platform.forecasting.counts import Counts
from forgefield.platform.rounds.candidates import random_choice
from forgefield.platform.rounds.choices import (
    Choice,
    Wanted,
    at_random,
    jobs_of,
    load_choice,
    save_choice,
)
from forgefield.platform.rounds.desk import Desk
from forgefield.platform.rounds.supply import Supply
from forgefield.storage.errors import StorageError
from forgefield.storage.records import Purpose, Tier


@pytest.fixture(scope="module")
def supply(tmp_path_factory: pytest.TempPathFactory) -> Supply:
    _, plan, pool = make_campaign(tmp_path_factory.mktemp("supply"), "80ccsd", recipe_with())
    return Supply.of(pool, plan, lambda _: ())


def keys(choice: Choice, supply: Supply) -> list[str]:
    own = {tier: jobs[0].method for tier, jobs in supply.jobs.items()}
    return [job.key() for job in jobs_of(choice, MOLECULE, own)]


def test_a_choice_is_read_back_as_it_was(tmp_path: Path, supply: Supply) -> None:
    chosen = Wanted(Tier.CCSD, Arm.CHOSEN, "md", np.full((5, 3), 0.1), 0.25)
    choice = (*random_choice(supply, Counts(3, 4), frozenset()), chosen)
    save_choice(choice, tmp_path / "choice.npz")
    again = load_choice(tmp_path / "choice.npz")
    assert again is not None
    assert keys(again, supply) == keys(choice, supply)
    assert [(w.tier, w.arm, w.source) for w in again] == [(w.tier, w.arm, w.source) for w in choice]
    assert again[-1].disagreement == 0.25
    assert np.isnan(again[0].disagreement)


def test_a_choice_outlives_a_power_loss_in_a_folder_that_is_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, synced, sync = tmp_path / "rounds" / "0" / "choice.npz", set[int](), os.fsync

    def watched(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    save_choice((), place)
    assert {path.stat().st_ino for path in (place, *place.parents[:3])} <= synced


def test_no_choice_no_labels_and_damage_are_told_apart(tmp_path: Path) -> None:
    place = tmp_path / "choice.npz"
    assert load_choice(place) is None
    save_choice((), place)
    assert load_choice(place) == ()
    place.write_bytes(place.read_bytes()[:-40])
    with pytest.raises(StorageError, match="damaged"):
        load_choice(place)


def test_a_larger_random_arm_holds_the_smaller_one(supply: Supply) -> None:
    jobs = supply.jobs[Tier.CCSD]
    small, large = (keys(at_random(jobs, frozenset(), count), supply) for count in (5, 12))
    assert large[:5] == small
    rest = keys(at_random(jobs, frozenset(small), 7), supply)
    assert small + rest == large


def test_the_supply_never_holds_a_geometry_that_judges(supply: Supply) -> None:
    judging = {each.tobytes() for each in supply.kept}
    assert len(judging) == sum(
        len(order.jobs)
        for order in supply.firm
        if order.jobs[0].purpose in {Purpose.HOLDOUT, Purpose.VALIDATION}
    )
    for jobs in supply.jobs.values():
        assert len({job.key() for job in jobs}) == len(jobs)
        assert not judging & {job.configuration.positions_A3.tobytes() for job in jobs}


def test_what_is_asked_for_appears_only_in_the_buyers_thread(supply: Supply) -> None:
    desk = Desk((), dict.fromkeys(Tier, 1.0))
    jobs = supply.jobs[Tier.CCSD][:3]
    desk.want(jobs)
    assert not desk.is_empty
    assert not any(order.jobs for order in desk.orders)
    desk.settle()
    assert [job.key() for order in desk.orders for job in order.jobs] == [j.key() for j in jobs]
    assert desk.asked == desk.applied == 1


def test_what_was_ahead_comes_first_when_its_round_begins(supply: Supply) -> None:
    desk = Desk((), dict.fromkeys(Tier, 1.0))
    first, second = supply.jobs[Tier.CCSD][:2], supply.jobs[Tier.CCSD][2:4]
    desk.want(second)
    desk.want(first, ahead=True)
    desk.promote({job.key() for job in first})
    desk.settle()
    now = desk.orders[0]
    assert [job.key() for job in now.jobs] == [job.key() for job in (*first, *second)]
    assert now.planned == 4
    assert not desk.orders[2].jobs
    desk.starve()
    assert desk.starved_at == desk.applied == desk.asked == 3
    desk.want(supply.jobs[Tier.DFT][:1])
    assert desk.starved_at < desk.asked, "a new wish may fit"
    assert desk.starved_at == desk.applied, "until it is heard"
    desk.settle()
    assert desk.starved_at < desk.applied == 4
    desk.close()
    desk.settle()
    assert desk.is_empty
    assert desk.closed
