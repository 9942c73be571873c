"""Every reason to stop, in the user's unit; otherwise batches that never exceed what is left."""

import re

import numpy as np
import pytest

from forgefield.platform.forecasting.counts import Costs, Counts
from forgefield.platform.forecasting.error_model import ErrorModelSettings, Posterior
from forgefield.platform.forecasting.outcomes import Kind, Outcome
from forgefield.platform.forecasting.splitting import Limits
from forgefield.platform.forecasting.stopping import (
    GoOn,
    Money,
    Reason,
    Stop,
    StopRules,
    decide,
    labels_words,
)

COSTS = Costs(16.0, 2.2, 1e-3)
HAVE = Counts(60, 300, 2000)
MONEY = Money(200 * 16.0, "ccsd", 16.0)


def posterior(
    error: float = 0.4, floor: float | None = None, **priors: tuple[float, float]
) -> Posterior:
    seen = [
        Outcome(Counts(20, 300, 2000), Kind.TUNED, 1.5 * error, 100),
        Outcome(HAVE, Kind.TUNED, error, 100),
    ]
    rigid = {} if floor is None else {"floor": (floor, 1e-6), "floor_scratch": (floor, 1e-6)}
    return Posterior.of(seen, ErrorModelSettings(**rigid, **priors), 9)


def stopped(decision: Stop | GoOn, kind: Reason) -> str:
    assert isinstance(decision, Stop)
    assert decision.kind is kind
    return decision.reason


def test_a_target_that_is_reached_with_confidence_stops() -> None:
    known = posterior(0.2)
    reason = stopped(
        decide(known, HAVE, 496.0, COSTS, 0.4, StopRules(), money=MONEY), Reason.TARGET
    )
    chance = 100 * known.chance_below(0.4, HAVE)
    assert reason == (
        "the error should end at 0.4 kcal/mol/Å or less after the last training, with "
        f"{chance:.0f} % confidence; stopped, 31ccsd returned"
    )


def test_a_target_that_is_only_likely_goes_on() -> None:
    known = posterior(0.4)
    assert 0.5 < known.chance_below(0.43, HAVE) < 0.9
    assert isinstance(decide(known, HAVE, 496.0, COSTS, 0.43, StopRules(), money=MONEY), GoOn)


def test_labels_that_gain_too_little_are_not_bought_and_the_sentence_says_so() -> None:
    rules = StopRules(least_gain=0.1)
    decision = decide(posterior(), HAVE, 496.0, COSTS, None, rules, money=MONEY)
    reason = stopped(decision, Reason.GAIN)
    pattern = r"the next \d+ target labels should gain 0\.0\d+ kcal/mol/Å; stopped, 31ccsd returned"
    assert re.fullmatch(pattern, reason)


def test_the_sentence_names_every_tier_of_the_batch() -> None:
    believed = posterior(alpha=(0.3, 0.1), beta=(0.6, 0.1), alpha_lower=(0.75, 0.1))
    short, eager = Counts(60, 10, 0), StopRules(least_gain=0)
    going = decide(believed, short, 1600.0, COSTS, None, eager, money=MONEY)
    assert isinstance(going, GoOn)
    buy = going.buy
    assert min(buy.target, buy.middle) > 1
    bought = f"{buy.target} target labels and {buy.middle} labels of the tier below"
    rules = StopRules(least_gain=1e9)
    found = decide(believed, short, 1600.0, COSTS, None, rules, money=MONEY)
    assert stopped(found, Reason.GAIN).startswith(f"the next {bought}")
    assert labels_words(Counts(1, 1, 1200)) == (
        "1 target label and 1 label of the tier below and 1,200 cheap labels"
    )
    assert not labels_words(Counts(0))


def test_the_gain_in_the_sentence_is_the_expected_fall_of_the_error() -> None:
    known, rules = posterior(), StopRules(least_gain=1e9)
    going = decide(known, HAVE, 496.0, COSTS, None, StopRules(least_gain=0), money=MONEY)
    assert isinstance(going, GoOn)
    errors = np.exp(known.log_errors([HAVE, HAVE.plus(going.buy)])).mean(0)
    reason = decide(known, HAVE, 496.0, COSTS, None, rules, money=MONEY)
    assert isinstance(reason, Stop)
    said = re.search(r"gain ([0-9.]+)", reason.reason)
    assert said is not None
    assert float(said[1]) == pytest.approx(errors[0] - errors[1], rel=0.01)


def test_where_all_that_is_left_hardly_helps_it_is_returned() -> None:
    rules = StopRules(least_gain=0)
    flat = posterior(floor=20.0)
    reason = stopped(decide(flat, HAVE, 496.0, COSTS, None, rules, money=MONEY), Reason.REGRET)
    assert re.search(r"lower the error by [0-4]\.\d %; stopped, 31ccsd returned", reason)
    few = decide(flat, HAVE, 96.0, COSTS, None, rules, money=MONEY)
    assert isinstance(few, GoOn), "6ccsd of 200ccsd aren't worth returning"


@pytest.mark.parametrize("costs", [COSTS, Costs(16.0, 15.0, 0.5), Costs(7.3, 1.1, 1.0)])
def test_the_budget_is_spent_to_the_last_label_that_fits_and_never_over(costs: Costs) -> None:
    known, rules = posterior(), StopRules(least_gain=0, least_regret=0)
    have, left, rounds = Counts(4, 4, 20), 50.3 * costs.target, 0
    money = Money(left, "ccsd", costs.target)
    while isinstance(decision := decide(known, have, left, costs, None, rules, money=money), GoOn):
        have, left, rounds = have.plus(decision.buy), left - costs.of(decision.buy), rounds + 1
        assert left >= -1e-9
        assert rounds < 40
    assert "no further label fits" in stopped(decision, Reason.BUDGET)
    assert left < min(costs.target, costs.middle)
    assert rounds >= 8


def test_full_tiers_stop_with_money_left() -> None:
    limits = Limits(Counts(2), HAVE)
    decision = decide(posterior(), HAVE, 496.0, COSTS, None, StopRules(), limits=limits)
    stopped(decision, Reason.BUDGET)


def test_a_batch_leads_where_all_the_money_should_go() -> None:
    rules = StopRules(least_gain=0, least_regret=0)
    short = Counts(60, 10, 0)
    believed = posterior(alpha=(0.3, 0.1), beta=(0.6, 0.1), alpha_lower=(0.75, 0.1))
    decision = decide(believed, short, 1600.0, COSTS, None, rules, money=MONEY)
    assert isinstance(decision, GoOn)
    assert decision.buy.middle * COSTS.middle > decision.buy.target * COSTS.target


@pytest.mark.parametrize(
    ("unit", "worth", "said"), [("cpuh", 3600.0, "0.138cpuh"), ("$", 1.0, "$496")]
)
def test_what_is_returned_is_in_the_users_unit(unit: str, worth: float, said: str) -> None:
    money = Money(3200.0, unit, worth)
    decision = decide(posterior(0.2), HAVE, 496.0, COSTS, 5.0, StopRules(), money=money)
    assert said in stopped(decision, Reason.TARGET)
