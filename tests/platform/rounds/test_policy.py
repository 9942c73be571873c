"""How large rounds are, and what is decided at their end: pure functions."""

from pathlib import Path

import pytest
from spring_campaign import make_campaign, recipe_with

from forgefield.platform.forecasting.counts import Costs, Counts
from forgefield.platform.forecasting.error_model import ErrorModelSettings, Posterior
from forgefield.platform.forecasting.outcomes import Kind, Outcome
from forgefield.platform.forecasting.splitting import Limits
from forgefield.platform.forecasting.stopping import Money, StopRules
from forgefield.platform.planning.round_settings import RoundSettings
from forgefield.platform.rounds.deciding import Decision, Standing, decided, limits_of
from forgefield.platform.rounds.documents import Course
from forgefield.platform.rounds.policy import (
    LEAST_FIRST,
    ahead_buy,
    first_buy,
    first_needs,
    largest_buy,
    may_train,
)
from forgefield.storage.records import Purpose, Tier

ROUNDS = RoundSettings()
COSTS = Costs(10.0, 1.0, 0.01)
EAGER = StopRules(least_gain=0.0, least_regret=0.0)


def falling(target: int) -> list[Outcome]:
    """Errors that fall as n^-0.7, seen on parts of `target` labels."""
    parts = (Counts(target // 2, 100, 500), Counts(target, 100, 500))
    return [Outcome(each, Kind.TUNED, 3.0 * each.target**-0.7, 50) for each in parts]


def standing(target: int, left: float, *, asked: float | None = None, rounds: int = 1) -> Standing:
    counts, budget = Counts(target, 100, 500), 2000.0
    limits = Limits(Counts(0), Counts(1000, 5000, 500), counts)
    return Standing(counts, left, COSTS, limits, Money(budget), asked, rounds)


def decision(where: Standing, rules: StopRules = EAGER) -> Decision:
    posterior = Posterior.of(falling(where.counts.target), ErrorModelSettings(), 9)
    return decided(posterior, where, rules, ROUNDS)


def test_the_first_round_buys_a_share_of_the_dear_labels_and_all_cheap_ones() -> None:
    assert first_buy(Counts(200, 400, 1000), Counts(2, 2, 20), ROUNDS) == Counts(48, 98, 980)


def test_imported_labels_are_labels_of_their_tier() -> None:
    assert first_buy(Counts(200, 400, 1000), Counts(2, 700, 20), ROUNDS) == Counts(48, 0, 980)


def test_small_plans_begin_with_enough_to_train_on() -> None:
    assert first_buy(Counts(16, 30, 100), Counts(2, 2, 20), ROUNDS).target == 6
    assert first_buy(Counts(4, 30, 100), Counts(2, 2, 20), ROUNDS).target == 2


def test_what_is_bought_ahead_is_at_most_half_of_what_a_round_may_grow_by() -> None:
    counts, expected = Counts(50, 100, 1000), Counts(30, 300)
    most, ahead = largest_buy(counts, ROUNDS), ahead_buy(counts, expected, ROUNDS)
    assert ahead == Counts(15, 50, 0), "half of the 30 that are expected, of 100 it may grow by"
    assert most.covers(ahead)
    assert ahead_buy(counts, Counts(0), ROUNDS) == Counts(0), "nothing where none are expected"


@pytest.mark.parametrize(
    ("wanted", "settled", "queued", "goes"),
    [
        (20, 18, 0, True),
        (20, 17, 0, False),
        (20, 19, 1, False),
        (5, 4, 0, True),
        (5, 3, 0, False),
        (2, 1, 0, True),
        (1, 0, 0, False),
        (0, 0, 0, True),
    ],
)
def test_training_waits_for_no_slow_label_but_for_all_that_are_queued(
    wanted: int, settled: int, queued: int, goes: bool
) -> None:
    assert may_train(wanted, settled, queued, 0.1) is goes


def test_without_patience_and_for_the_fewest_needed_every_label_is_waited_for() -> None:
    assert not may_train(20, 19, 0, 0.0)
    assert may_train(20, 20, 0, 0.0)
    assert not may_train(6, 5, 0, 0.1, needed=6)
    assert may_train(7, 6, 0, 0.1, needed=6)
    assert not may_train(40, 37, 0, 0.1, needed=38)
    assert may_train(6, 5, 0, 0.1, needed=-3), "there are more than enough already"
    assert not may_train(3, 2, 0, 0.1, needed=2, failed=1), "what failed isn't there"
    assert may_train(3, 3, 0, 0.1, needed=2, failed=2), "nothing is on its way"


def test_the_first_training_needs_its_least_labels_and_the_fewest_validation(
    tmp_path: Path,
) -> None:
    _, plan, _ = make_campaign(tmp_path, "80ccsd", recipe_with())
    calibration = plan.labels(Tier.CCSD, Purpose.CALIBRATION)
    assert first_needs(plan) == {
        (Tier.CCSD, Purpose.TRAIN): LEAST_FIRST - calibration,
        (Tier.CCSD, Purpose.VALIDATION): plan.recipe.allocation.fewest_validation,
    }


def test_a_round_grows_as_it_may_and_never_beyond_the_money() -> None:
    found = decision(standing(16, 1500.0))
    assert found.course is Course.ON
    assert not found.spend_rest
    price = COSTS.of(found.buy)
    assert 0 < price <= COSTS.of(largest_buy(Counts(16, 100, 500), ROUNDS)) + COSTS.target
    assert found.ahead is not None
    assert "kcal/mol/Å" in found.why


@pytest.mark.parametrize(
    "where",
    [
        pytest.param(standing(50, 700.0), id="too little is left behind it"),
        pytest.param(standing(16, 1500.0, rounds=ROUNDS.most_rounds), id="rounds are used up"),
    ],
)
def test_the_last_purchase_takes_all_that_is_left(where: Standing) -> None:
    found = decision(where)
    assert found.course is Course.LAST
    assert found.spend_rest
    assert where.left - COSTS.target < COSTS.of(found.buy) <= where.left


def test_the_last_purchase_is_the_batch_alone_where_the_rest_is_not_worth_it() -> None:
    where = standing(60, 1900.0, rounds=ROUNDS.most_rounds)
    found = decision(where, StopRules(least_gain=0.011, least_regret=0.0))
    assert found.course is Course.LAST
    assert not found.spend_rest
    assert found.buy == largest_buy(where.counts, ROUNDS)
    assert "120ccsd returned" in found.why, "1900 core-seconds less 60 labels of 10 and 100 of 1"


@pytest.mark.parametrize("costs", [(10.0, 1.0, 0.01), (10.0, 0.5, 0.2), (10.0, 3.0, 0.01)])
def test_no_tier_grows_by_more_than_it_may(costs: tuple[float, float, float]) -> None:
    counts = Counts(10, 200, 500)
    limits = Limits(Counts(0), Counts(1000, 5000, 500), counts)
    where = Standing(counts, 1e5, Costs(*costs), limits, Money(1e5), None, 1)
    found = decision(where)
    assert found.course is Course.ON
    assert largest_buy(counts, ROUNDS).covers(found.buy)
    assert any(found.buy.triple)


def test_cheap_labels_are_no_part_of_a_rounds_growth() -> None:
    assert largest_buy(Counts(10, 200, 500), ROUNDS) == Counts(10, 200, 0)


def test_rounds_that_reach_their_limits_say_so_and_return_nothing_yet() -> None:
    counts = Counts(100, 100, 500)
    limits = Limits(Counts(0), counts, counts)
    found = decision(Standing(counts, 900.0, COSTS, limits, Money(2000.0), None, 1))
    assert (found.course, found.spend_rest) == (Course.STOP, True)
    assert "most labels that recipe and pool allow" in found.why
    assert "returned" not in found.why


def test_a_target_that_is_reached_returns_the_rest() -> None:
    found = decision(standing(100, 700.0, asked=5.0))
    assert (found.course, found.spend_rest) == (Course.STOP, False)
    assert "70ccsd returned" in found.why


def test_labels_that_gain_too_little_are_not_bought() -> None:
    found = decision(standing(100, 700.0), StopRules(least_gain=10.0))
    assert (found.course, found.buy, found.spend_rest) == (Course.STOP, Counts(0), False)
    assert "should gain" in found.why


def test_spent_money_is_topped_up_to_the_last_label() -> None:
    found = decision(standing(100, 0.005))
    assert (found.course, found.spend_rest) == (Course.STOP, True)
    assert "fits" in found.why
    assert "returned" not in found.why


def test_rounds_reach_no_further_than_recipe_and_pool(tmp_path: Path) -> None:
    _, plan, _ = make_campaign(tmp_path, "80ccsd", recipe_with(allocation={"most_target": 60}))
    kept = plan.labels(Tier.CCSD, Purpose.HOLDOUT) + plan.labels(Tier.CCSD, Purpose.VALIDATION)
    counts, much = Counts(20, 30, 100), Counts(5000, 5000)
    assert limits_of(plan, counts, much).top == Counts(60 - kept, 2 * (60 - kept), 100)
    assert limits_of(plan, counts, Counts(3, 4)).top == Counts(23, 34, 100)
    assert limits_of(plan, counts, Counts(0)).top == counts


def test_a_middle_tier_that_nothing_reads_is_not_bought(tmp_path: Path) -> None:
    training = {"pretrain": [{"tiers": ["xtb"], "fit": {"steps": 5}}]}
    _, plan, _ = make_campaign(tmp_path, "80ccsd", recipe_with(training=training))
    limits = limits_of(plan, Counts(20, 0, 100), Counts(500, 500))
    assert limits.top.middle == 0
