"""The split of a budget: within it, by the closed form, and refused where hopeless."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgefield.platform.forecasting.error_model import ErrorModelSettings, Posterior
from forgefield.platform.planning.allocation import (
    MIDDLE,
    TARGET,
    AllocationSettings,
    allocate,
    calibration_core_seconds,
)
from forgefield.platform.planning.outlook import Outlook
from forgefield.platform.planning.recipe import Recipe
from forgefield.storage.errors import BudgetTooSmall
from forgefield.storage.records import Purpose, Tier

METHANOL = {Tier.EMPIRICAL: 1.5e-5, Tier.XTB: 1e-3, Tier.DFT: 2.2, Tier.CCSD: 16.0}
SETTINGS = AllocationSettings()
PRIOR = Posterior.of([], ErrorModelSettings(), 6).thinned(200)

costs = st.fixed_dictionaries(
    {
        Tier.EMPIRICAL: st.floats(1e-6, 1e-3),
        Tier.XTB: st.floats(1e-4, 1.0),
        Tier.DFT: st.floats(0.1, 1e3),
        Tier.CCSD: st.floats(0.1, 1e6),
    }
)


@given(costs, st.floats(1, 1e9))
def test_an_allocation_never_costs_more_than_the_budget(
    cost: dict[Tier, float], core_seconds: float
) -> None:
    try:
        allocation = allocate(core_seconds, cost, SETTINGS, PRIOR)
    except BudgetTooSmall:
        return
    assert allocation.cost(cost) <= core_seconds * (1 + 1e-9)
    assert allocation.of(TARGET, Purpose.HOLDOUT) >= SETTINGS.fewest_holdout
    assert allocation.of(TARGET, Purpose.VALIDATION) >= SETTINGS.fewest_validation
    assert allocation.of(TARGET, Purpose.TRAIN) >= SETTINGS.fewest_train
    assert all(count >= 0 for count in allocation.counts.values())


def test_the_split_follows_the_closed_form() -> None:
    """n_H c_H : n_D c_D = α : β α_L without floors, with cheap labels worth and costing nothing."""
    exponents = {"alpha": 0.75, "beta": 0.6, "alpha_lower": 0.5}
    nothing = {"floor": 1e-9, "floor_lower": 1e-9, "cheap_worth": 1e-9}
    known = {name: (value, 1e-6) for name, value in {**exponents, **nothing}.items()}
    known |= {"tuned": (1e-3, 1e-6)}
    posterior = Posterior.of([], ErrorModelSettings(**known), 6)
    kept = {"validation_share": 1e-6, "holdout_share": 1e-6}
    settings = AllocationSettings(
        spare_share=0, middle_per_target=1e9, most_target=10**6, cheap_cost_share=1e-9, **kept
    )
    budget = 10_000 * METHANOL[TARGET]
    allocation = allocate(budget, METHANOL, settings, posterior)
    target = allocation.of(TARGET) * METHANOL[TARGET]
    middle = allocation.of(MIDDLE) * METHANOL[MIDDLE]
    weight = exponents["alpha"] / (exponents["beta"] * exponents["alpha_lower"])
    assert target / middle == pytest.approx(weight, rel=0.02)


def test_the_cap_counts_the_target_labels_that_are_bought() -> None:
    """Money that the cap takes from the middle tier buys target labels, which widen the cap."""
    cheap_middle = METHANOL | {Tier.DFT: METHANOL[TARGET] / 40}
    posterior = Posterior.of([], ErrorModelSettings(beta=(0.9, 0.01)), 6)
    loose, tight = (
        allocate(
            100 * METHANOL[TARGET],
            cheap_middle,
            AllocationSettings(middle_per_target=most),
            posterior,
        )
        for most in (1e6, 3.0)
    )
    assert loose.of(MIDDLE) > 10 * loose.of(TARGET)
    assert 2.9 * tight.of(TARGET) < tight.of(MIDDLE) <= 3 * tight.of(TARGET)


@pytest.mark.parametrize("cost", [METHANOL, METHANOL | {Tier.DFT: 0.1}, METHANOL | {Tier.XTB: 0.5}])
def test_the_least_budget_that_is_named_is_the_least(cost: dict[Tier, float]) -> None:
    with pytest.raises(BudgetTooSmall) as caught:
        allocate(3 * cost[TARGET], cost, SETTINGS, PRIOR)
    named = re.search(r"at least (\d+)ccsd = ([\d.]+)cpuh", str(caught.value))
    assert named is not None
    allocate(int(named[1]) * cost[TARGET], cost, SETTINGS, PRIOR)
    allocate(float(named[2]) * 3600, cost, SETTINGS, PRIOR)
    with pytest.raises(BudgetTooSmall):
        allocate((int(named[1]) - 1) * cost[TARGET], cost, SETTINGS, PRIOR)


def test_no_middle_tier_where_it_costs_as_much_as_the_target() -> None:
    water = {Tier.EMPIRICAL: 1e-5, Tier.XTB: 1e-3, Tier.DFT: 0.6, Tier.CCSD: 0.5}
    allocation = allocate(100.0, water, SETTINGS, PRIOR)
    assert allocation.of(MIDDLE, Purpose.TRAIN) == 0


@pytest.mark.parametrize(
    ("imported", "more", "fewer"),
    [({MIDDLE: 1000}, TARGET, MIDDLE), ({TARGET: 100}, MIDDLE, TARGET)],
)
def test_money_goes_where_no_labels_are_yet(
    imported: dict[Tier, int], more: Tier, fewer: Tier
) -> None:
    """Fewer of what is there are bought, not the same beside it; all within the budget."""
    budget = 100 * METHANOL[TARGET]
    bare = allocate(budget, METHANOL, SETTINGS, PRIOR)
    found = allocate(budget, METHANOL, SETTINGS, PRIOR, imported)
    assert found.of(more) > 1.1 * bare.of(more)
    assert found.of(fewer) < 0.9 * bare.of(fewer)
    assert 0.97 * budget < found.cost(METHANOL) <= budget


@settings(deadline=None, max_examples=50)
@given(
    costs, st.floats(1, 1e9), st.dictionaries(st.sampled_from(list(Tier)), st.integers(0, 10**6))
)
def test_no_import_makes_a_plan_dearer_than_its_budget(
    cost: dict[Tier, float], core_seconds: float, imported: dict[Tier, int]
) -> None:
    try:
        allocation = allocate(core_seconds, cost, SETTINGS, PRIOR, imported)
    except BudgetTooSmall:
        return
    assert allocation.cost(cost) <= core_seconds * (1 + 1e-9)
    assert all(count >= 0 for count in allocation.counts.values())


def test_cheap_labels_that_are_there_are_not_bought() -> None:
    found = allocate(20 * METHANOL[TARGET], METHANOL, SETTINGS, PRIOR, {Tier.XTB: 1500})
    assert found.of(Tier.XTB, Purpose.TRAIN) == SETTINGS.cheap_labels - 1500
    assert found.of(Tier.EMPIRICAL, Purpose.TRAIN) == SETTINGS.cheap_labels


def test_calibration_is_part_of_the_allocation() -> None:
    allocation = allocate(20 * METHANOL[TARGET], METHANOL, SETTINGS, PRIOR)
    cost = sum(METHANOL[tier] * allocation.of(tier, Purpose.CALIBRATION) for tier in Tier)
    assert cost == pytest.approx(calibration_core_seconds(METHANOL, SETTINGS))


def test_a_middle_tier_that_no_training_reads_is_not_bought() -> None:
    """Nor is it counted on: the money goes to the target tier."""
    recipe = Recipe.model_validate({"training": {"pretrain": [{"tiers": ["xtb"], "fit": {}}]}})
    both = [Outlook.before_any_training(6, METHANOL, each) for each in (Recipe(), recipe)]
    usual, without = (outlook.split(250 * METHANOL[TARGET]) for outlook in both)
    assert usual.of(MIDDLE) > 100
    assert without.of(MIDDLE) == SETTINGS.calibration_labels
    assert without.of(TARGET) > usual.of(TARGET)
    assert both[1].counts(without).middle == 0
