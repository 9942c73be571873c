"""Splits against the closed form and against every split there is; budgets; the next pilot."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgefield.platform.forecasting import curves
from forgefield.platform.forecasting.counts import Counts
from forgefield.platform.forecasting.error_model import ErrorModelSettings, Posterior
from forgefield.platform.forecasting.outcomes import Kind, Outcome
from forgefield.platform.forecasting.parameters import NAMES, Parameters
from forgefield.platform.forecasting.splitting import (
    Costs,
    Limits,
    best_split,
    budget_for,
    closed_form,
    next_pilot,
    regret,
)
from forgefield.storage.errors import BudgetTooSmall, InputError
from forgefield.storage.records import Array

METHANOL = Costs(16.0, 2.2, 1e-3)
SEEN = [
    Outcome(Counts(25, 1000, 2000), Kind.TUNED, 0.4, 20),
    Outcome(Counts(100, 1000, 2000), Kind.TUNED, 0.25, 20),
    Outcome(Counts(25), Kind.SCRATCH, 1.2, 20),
]
POSTERIOR = Posterior.of(SEEN, ErrorModelSettings(), 6)
NO_CHEAP = Counts(10_000_000, 10_000_000, 0)


def without_floors(alpha: float, beta: float, alpha_lower: float) -> Posterior:
    """One particle whose errors are pure power laws, and whose scratch curve is no rival."""
    values = {"alpha": alpha, "beta": beta, "alpha_lower": alpha_lower, "tuned": 1e-6}
    values |= dict.fromkeys(("floor", "floor_lower", "floor_scratch"), 1e-12)
    chosen = ErrorModelSettings(**{name: (value, 1e-9) for name, value in values.items()})
    normals = np.zeros((1, len(NAMES)))
    return Posterior(Parameters.of(normals, chosen, 9), normals, np.zeros(1), chosen)


@pytest.mark.parametrize("alpha", [0.2, 0.75])
@pytest.mark.parametrize("middle", [1.0, 30.0])
def test_without_floors_the_split_is_the_closed_form(alpha: float, middle: float) -> None:
    costs = Costs(40.0, middle, 1.0)
    split = best_split(without_floors(alpha, 0.6, 0.75), 4e6, costs, Limits(most=NO_CHEAP))
    expected = closed_form(4e6, costs, alpha, 0.45)
    assert split.target == pytest.approx(expected.target, rel=0.03)
    assert split.middle == pytest.approx(expected.middle, rel=0.03)


@pytest.mark.parametrize("worth", [3, 20, 60])
def test_no_split_of_small_budgets_is_better(worth: int) -> None:
    """Every number of target labels, eight of cheap ones, the middle tier taking the rest."""
    money = worth * METHANOL.target
    found = best_split(POSTERIOR, money, METHANOL, Limits())
    every = [
        Counts(target, int((money - target * 16 - cheap * 1e-3) / 2.2), cheap)
        for target in range(2, worth + 1)
        for cheap in (0, 10, 50, 100, 300, 700, 1500, 2000)
        if money - target * 16 - cheap * 1e-3 >= 0
    ]
    scores = POSTERIOR.log_errors([found, *every]).mean(0)
    assert scores[0] <= scores[1:].min() + 0.01


@settings(max_examples=40, deadline=None)
@given(
    st.builds(Costs, st.floats(0.1, 1e4), st.floats(0.01, 1e3), st.floats(1e-5, 1.0)),
    st.floats(1.0, 1e6),
    st.builds(Counts, st.integers(0, 50), st.integers(0, 50), st.integers(0, 500)),
)
def test_a_split_keeps_its_limits_and_leaves_no_label_that_fits(
    costs: Costs, money: float, have: Counts
) -> None:
    limits = Limits(Counts(2), Counts(200, 3000, 2000), have)
    try:
        split = best_split(POSTERIOR.thinned(50), money, costs, limits)
    except BudgetTooSmall:
        assert costs.of(limits.fewest.beyond(have)) > money
        return
    spent = costs.of(split.beyond(have))
    assert spent <= money * (1 + 1e-9)
    assert split.covers(have)
    assert limits.top.covers(split)
    assert split.target == 200 or money - spent < costs.target * (1 + 1e-6)


@pytest.mark.parametrize("cost", [16.0, 0.1, 1 / 3])
def test_money_for_a_whole_number_of_labels_buys_that_number(cost: float) -> None:
    only_target = Limits(most=Counts(100, 0, 0))
    for number in range(2, 60):
        money = sum([cost] * number)
        assert best_split(POSTERIOR, money, Costs(cost, 1.0, 1.0), only_target).target == number


def test_pilots_take_away_the_regret_of_the_split() -> None:
    """Pilots of a molecule that is what the prior expects in the middle."""
    settings = ErrorModelSettings()
    prior, sure = Posterior.of([], settings, 6), without_floors(0.4, 0.6, 0.75)
    pilots = [Counts(n, m, 2000) for n in (10, 25, 50, 100) for m in (50, 200, 1000)]
    middles = np.exp(np.median(prior.log_errors(pilots), axis=0)).tolist()
    seen = [Outcome(*each, 500) for each in zip(pilots, [Kind.TUNED] * 12, middles, strict=True)]
    piloted = Posterior.of(seen, settings, 6)
    levels = [regret(each, 1600.0, METHANOL, Limits()) for each in (prior, piloted, sure)]
    assert levels[0] > levels[1] > levels[2]
    assert levels[2] == pytest.approx(0, abs=1e-3)


def test_a_split_looks_at_few_of_the_many_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []

    def counted(parameters: Parameters, counts_K3: Array, *how: object) -> Array:
        rows.append(len(parameters.scratch) * len(counts_K3))
        return used(parameters, counts_K3, *how)  # type: ignore[arg-type]

    used = curves.used
    monkeypatch.setattr(curves, "used", counted)
    best_split(POSTERIOR, 4000.0, METHANOL, Limits())
    assert 0 < sum(rows) < 600_000, "some hundred splits of a thousand particles each"
    assert len(rows) < 10


def test_labels_at_hand_move_the_money_to_the_other_tier() -> None:
    fresh = best_split(POSTERIOR, 800.0, METHANOL, Limits())
    rich = best_split(POSTERIOR, 800.0, METHANOL, Limits(have=Counts(0, 3000, 0)))
    assert rich.target > fresh.target
    assert rich.middle >= 3000


def test_the_budget_of_an_error_buys_it_and_less_does_not() -> None:
    budget = budget_for(POSTERIOR, 0.2, METHANOL, Limits())
    assert budget is not None
    reached, missed = (
        POSTERIOR.chance_below(0.2, best_split(POSTERIOR, b, METHANOL, Limits()))
        for b in (budget, 0.9 * budget)
    )
    assert reached >= 0.5 > missed
    surer = budget_for(POSTERIOR, 0.2, METHANOL, Limits(), confidence=0.9)
    assert surer is None or surer > budget


def test_an_error_below_the_floor_is_hopeless_and_a_large_one_costs_the_least() -> None:
    assert budget_for(POSTERIOR, 1e-4, METHANOL, Limits()) is None
    assert budget_for(POSTERIOR, 50.0, METHANOL, Limits()) == 2 * METHANOL.target


def test_the_next_pilot_is_the_one_that_teaches_most_for_its_price() -> None:
    """By brute force: the variance left by a pilot, averaged over what it may find."""
    chosen = ErrorModelSettings(particles=8000, kept=2000)
    prior, end = Posterior.of([], chosen, 6), Counts(300, 4000, 2000)
    near, far = Counts(100, 2000, 2000), Counts(2, 0, 10)
    rng = np.random.default_rng(0)

    def left(count: Counts) -> float:
        levels = prior.measured(count, frames=10)[rng.integers(0, 8000, 12)]
        seen = [Outcome(count, Kind.TUNED, float(np.exp(level)), 10) for level in levels]
        posts = [Posterior.of([each], chosen, 6) for each in seen]
        return float(np.mean([np.var(post.log_errors([end])) for post in posts]))

    assert left(near) < left(far) - 0.05
    alike = Costs(1.0, 0.0, 0.0)
    pilots = [Counts(99, 0, 10), near]
    assert next_pilot(prior, pilots, alike, final=end) == near
    assert next_pilot(prior, [far, near], METHANOL, final=end) == far
    assert next_pilot(prior, [far, near], METHANOL, final=end, have=near) == near


@pytest.mark.parametrize("bad", [(0, 1, 1), (1, -1, 0)])
def test_prices_that_can_not_be_are_refused(bad: tuple[float, float, float]) -> None:
    with pytest.raises(InputError, match="core-seconds"):
        Costs(*bad)


def test_what_the_fewest_labels_need_is_named() -> None:
    with pytest.raises(BudgetTooSmall, match="at least 2 target-tier labels"):
        best_split(POSTERIOR, 20.0, METHANOL, Limits())
    with pytest.raises(InputError, match="can't both hold"):
        Limits(Counts(5), Counts(4))
