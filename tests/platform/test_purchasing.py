"""What is bought next: within the money, never at another need's expense, and when to stop."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgefield.platform.buying.purchasing import (
    TIGHTEST_LIMIT,
    Buy,
    Claim,
    Money,
    Need,
    Pause,
    batch_size,
    is_open,
    is_wave,
    is_worth_retrying,
    next_purchase,
    running_cost,
)
from forgefield.platform.buying.score import Score
from forgefield.platform.planning.recipe import LabelSettings
from forgefield.storage.ledger.entries import JobState, State
from forgefield.storage.records import Failure, Tier
from forgefield.storage.units import MICRO

SETTINGS = LabelSettings()
needs = st.lists(
    st.builds(
        Need,
        st.sampled_from(Tier),
        st.integers(0, 50),
        st.integers(50, 100),
        st.floats(1e-3, 1e4),
        st.sampled_from(Claim),
    ),
    max_size=6,
)
moneys = st.builds(Money, st.floats(0, 1e6), st.floats(0, 1e5), st.booleans())


@given(needs, moneys)
def test_a_purchase_fits_into_the_money_and_the_need(wanted: list[Need], money: Money) -> None:
    choice = next_purchase(wanted, money, SETTINGS)
    if isinstance(choice, Pause):
        return
    need = wanted[choice.need]
    assert choice.core_seconds <= money.left
    assert 1 <= choice.labels <= need.labels
    assert choice.core_seconds >= TIGHTEST_LIMIT * choice.labels * need.core_seconds * (1 - 1e-9)


def buy_all(wanted: list[Need], left: float, true_cost: float = 1.0) -> tuple[list[int], float]:
    """Labels bought of each need, one at a time, where a label costs `true_cost` × expected."""
    bought = [0] * len(wanted)
    while isinstance(choice := next_purchase(wanted, Money(left), SETTINGS), Buy):
        need = wanted[choice.need]
        left -= choice.labels * need.core_seconds * true_cost
        bought[choice.need] += choice.labels
        wanted[choice.need] = replace(need, labels=need.labels - choice.labels)
    return bought, left


def test_with_enough_money_everything_is_bought_in_the_order_of_wishes() -> None:
    wanted = [Need(Tier.CCSD, 5, 5, 16.0, Claim.FIRM), Need(Tier.DFT, 10, 10, 2.0)]
    assert next_purchase(wanted, Money(1000), SETTINGS) == Buy(0, 1, 45.0)
    assert buy_all(wanted, 107)[0] == [5, 10]


def test_when_money_is_short_firm_needs_come_first_and_elastic_ones_share() -> None:
    firm, dear, cheap = (
        Need(Tier.CCSD, 4, 4, 16.0, Claim.FIRM),
        Need(Tier.CCSD, 10, 10, 16.0),
        Need(Tier.DFT, 40, 40, 2.0),
    )
    bought, left = buy_all([firm, dear, cheap], 64 + 120)
    assert bought[0] == 4
    assert bought[1] == pytest.approx(5, abs=1)
    assert bought[2] == pytest.approx(20, abs=2)
    assert left < TIGHTEST_LIMIT * 2.0, "nothing that fits is left unbought"


def test_spare_needs_get_only_what_is_left_over() -> None:
    planned, spare = Need(Tier.DFT, 5, 5, 2.0), Need(Tier.CCSD, 9, 9, 16.0, Claim.SPARE)
    assert buy_all([planned, spare], 30)[0] == [5, 0]
    assert buy_all([planned, spare], 47)[0] == [5, 2]


def test_waits_for_money_in_flight_and_stops_without() -> None:
    wanted = [Need(Tier.CCSD, 1, 1, 16.0)]
    assert next_purchase(wanted, Money(10, 30, in_flight=True), SETTINGS) is Pause.WAIT
    assert next_purchase(wanted, Money(10), SETTINGS) is Pause.STOP
    assert next_purchase([], Money(10, 30, in_flight=True), SETTINGS) is Pause.STOP


def test_batches_last_about_as_long_as_asked() -> None:
    assert batch_size(16.0, SETTINGS) == 1
    assert batch_size(1e-3, SETTINGS) == 1000
    assert batch_size(1e-2, SETTINGS) == 200


def test_the_expected_cost_moves_from_the_plan_to_what_is_seen() -> None:
    assert running_cost(10, 2, 0, 0) == 10
    assert running_cost(10, 2, 2000, 98) == pytest.approx(20.2)


def test_a_failure_adds_to_the_price_and_never_to_the_limit_of_a_label() -> None:
    score = Score()
    for _ in range(2):
        score.add(Tier.CCSD, 1, 10.0, 1)
    score.pay(Tier.CCSD, 0, 125.0, 1)
    assert score.spent[Tier.CCSD] == 145.0
    assert score.cost(Tier.CCSD, 10.0) == pytest.approx(10.0)
    assert 1.0 < score.price(Tier.CCSD, 10.0) / 10.0 < 1.6
    need = Need(Tier.CCSD, 4, 4, 10.0, Claim.FIRM, lost=score.loss(Tier.CCSD))
    alone = next_purchase([need], Money(1000), SETTINGS)
    assert alone == Buy(0, 1, SETTINGS.limit_factor * 10.0 + SETTINGS.limit_extra_s)


def test_of_a_batch_that_failed_in_part_so_much_is_lost() -> None:
    score = Score()
    score.add(Tier.XTB, 8, 10.0, 10)
    assert (score.done[Tier.XTB], score.bought[Tier.XTB]) == (8, 8)
    assert score.lost[Tier.XTB] == pytest.approx(2.0)
    assert score.cost(Tier.XTB, 1.0) == pytest.approx(1.0)


def test_firm_needs_keep_what_their_failures_are_expected_to_take() -> None:
    firm = Need(Tier.CCSD, 4, 4, 16.0, Claim.FIRM, lost=4.0)
    wanted = [Need(Tier.DFT, 40, 40, 2.0), firm]
    assert next_purchase(wanted, Money(82.0), SETTINGS) == Buy(0, 1, 10.0)
    assert next_purchase(wanted, Money(81.0), SETTINGS) == Buy(1, 1, 45.0)


def test_only_passing_trouble_is_retried_and_only_so_often() -> None:
    assert is_worth_retrying("TransientFailure", 1, SETTINGS)
    assert not is_worth_retrying("TransientFailure", SETTINGS.attempts, SETTINGS)
    assert not is_worth_retrying("NotConverged", 1, SETTINGS)


def test_a_wave_is_many_failures_and_more_than_successes() -> None:
    assert not is_wave(SETTINGS.wave - 1, 0, SETTINGS)
    assert is_wave(SETTINGS.wave, 0, SETTINGS)
    assert not is_wave(10, 20, SETTINGS)


def test_a_new_start_buys_what_may_go_better() -> None:
    def failed(kind: str, lost: int) -> JobState:
        return JobState(State.FAILED, 1, Failure(kind, "as said"), lost * MICRO)

    assert is_open(None, 100)
    assert is_open(JobState(State.WAITING, 0, None), 100)
    assert not is_open(JobState(State.DONE, 1, None), 100)
    assert not is_open(failed("NotConverged", 0), 100)
    assert is_open(failed("TransientFailure", 100), 100), "the machine may be in order again"
    assert is_open(failed("NeedsLargerMachine", 1), 100), "refused before it began"
    assert not is_open(failed("NeedsLargerMachine", 100), 100), "as long as it had in vain"
    assert is_open(failed("NeedsLargerMachine", 50), 100)
