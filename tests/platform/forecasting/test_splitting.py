"""Splits against the closed form and against every split there is."""

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
    share = alpha / (alpha + 0.6 * 0.75)
    assert split.target == pytest.approx(share * 4e6 / costs.target, rel=0.03)
    assert split.middle == pytest.approx((1 - share) * 4e6 / costs.middle, rel=0.03)


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


@pytest.mark.parametrize("bad", [(0, 1, 1), (1, -1, 0)])
def test_prices_that_can_not_be_are_refused(bad: tuple[float, float, float]) -> None:
    with pytest.raises(InputError, match="core-seconds"):
        Costs(*bad)


def test_what_the_fewest_labels_need_is_named() -> None:
    with pytest.raises(BudgetTooSmall, match="at least 2 target-tier labels"):
        best_split(POSTERIOR, 20.0, METHANOL, Limits())
    with pytest.raises(InputError, match="can't both hold"):
        Limits(Counts(5), Counts(4))
