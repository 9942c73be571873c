"""How many labels to train on a plan foresees."""

from forgefield.platform.forecasting.counts import Counts
from forgefield.platform.planning.allocation import TARGET
from forgefield.platform.planning.fitted import fitted_counts
from forgefield.platform.planning.plan import Plan


def planned_counts(plan: Plan) -> Counts:
    """Training labels that a plan foresees, imported ones too, of the tiers that training reads."""
    return fitted_counts(plan.recipe, plan.labels, plan.imported)


def bought_target(plan: Plan) -> int:
    """Target labels to train on that a plan buys, calibration included."""
    return planned_counts(plan).target - plan.imported[TARGET]
