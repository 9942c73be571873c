"""How a sum of money is best split between tiers, what a target error costs, what to try next.

The best split has the least expected ln e over the posterior. Without floors, cheap labels or
limits it is n_H = (B/c_H)·α/(α + βα_L) and n_D = (B/c_D)·βα_L/(α + βα_L) (`closed_form`);
with them it is searched: cheap labels and the target tier's share on a grid, the middle tier
taking the rest, the grid drawn together around the best point. A split never costs more than the
money, and no label that would fit is left unbought, unless its tier is full.

`Limits.have` are labels that are paid; they cost nothing and can't be given back. Costs are
core-seconds, errors kcal/mol/Å.
"""

from collections.abc import Sequence

import numpy as np

from forgefield.platform.forecasting.counts import Costs, Counts
from forgefield.platform.forecasting.error_model import Posterior
from forgefield.platform.forecasting.searching import NONE, Limits, grid, spent
from forgefield.storage.errors import BudgetTooSmall, InputError

__all__ = ["Costs", "Limits", "best_split", "budget_for", "closed_form", "next_pilot", "regret"]

NARROWER, ROUNDS = 4.0, 4
CHEAPEST_PILOT = 1e-3
"""Core-seconds: a pilot whose labels are there costs no labels, but isn't priceless."""


def closed_form(core_seconds: float, costs: Costs, alpha: float, power_lower: float) -> Counts:
    """The split without floors, cheap labels and limits; `power_lower` is βα_L."""
    share = alpha / (alpha + power_lower)
    target = int(share * core_seconds / costs.target)
    return Counts(target, int((1 - share) * core_seconds / costs.middle))


def best_split(posterior: Posterior, core_seconds: float, costs: Costs, limits: Limits) -> Counts:
    """Labels in all, those at hand included, of which the new ones cost `core_seconds` at most.

    Raises `BudgetTooSmall` where the fewest labels cost more than that.
    """
    spare = core_seconds - costs.of(limits.least.beyond(limits.have))
    if spare < 0:
        raise BudgetTooSmall(_too_small(core_seconds, costs, limits))
    fewer = posterior.thinned()
    best, centre, width = limits.least, (0.5, 0.5), (1.0, 1.0)
    for _ in range(ROUNDS):
        spread = list(grid(centre, width))
        splits = [spent(spare, costs, limits, *each) for each in spread]
        scores = fewer.log_errors(splits).mean(0)
        place = int(scores.argmin())
        best, centre = splits[place], spread[place]
        width = width[0] / NARROWER, width[1] / NARROWER
    return best


def regret(posterior: Posterior, core_seconds: float, costs: Costs, limits: Limits) -> float:
    """Relative error that the best split is expected to lose to the one that hindsight would take.

    Below 5 %, pilots have told what they can about the split. Of splits on the coarse grid.
    """
    chosen = best_split(posterior, core_seconds, costs, limits)
    spare = core_seconds - costs.of(limits.least.beyond(limits.have))
    splits = [spent(spare, costs, limits, *each) for each in grid((0.5, 0.5), (1.0, 1.0))]
    logs_PK = posterior.thinned().log_errors([chosen, *splits])
    return float(np.mean(np.exp(logs_PK[:, 0] - logs_PK.min(1)) - 1))


def _too_small(core_seconds: float, costs: Costs, limits: Limits) -> str:
    need = costs.of(limits.least.beyond(limits.have))
    return (
        f"{core_seconds:.3g} core-seconds don't buy the fewest labels to train on, "
        f"{limits.fewest.triple} (target, middle, cheap): {need:.3g} core-seconds. "
        f"Give at least {-(-need // costs.target):.0f} target-tier labels' worth."
    )


def budget_for(
    posterior: Posterior,
    target_error: float,
    costs: Costs,
    limits: Limits,
    confidence: float = 0.5,
) -> float | None:
    """Core-seconds whose best split reaches the error with `confidence`, to 1 %.

    None where even the most labels don't: the budget is hopeless, or the limits too tight.
    """
    if posterior.chance_below(target_error, limits.top) < confidence:
        return None

    def enough(core_seconds: float) -> bool:
        split = best_split(posterior, core_seconds, costs, limits)
        return posterior.chance_below(target_error, split) >= confidence

    low = costs.of(limits.least.beyond(limits.have))
    if enough(low):
        return low
    high = costs.of(limits.top.beyond(limits.have))
    low = max(low, 0.1 * costs.target)
    while high > 1.01 * low:
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def next_pilot(
    posterior: Posterior,
    candidates: Sequence[Counts],
    costs: Costs,
    *,
    final: Counts | None = None,
    have: Counts = NONE,
    frames: int = 10,
) -> Counts:
    """The pilot that lowers the variance of ln e at `final` most for its price.

    By the linear rule, an outcome g with noise s² lowers the variance of f by Cov(f, g)²/(Var g
    + s²). `final` is the largest candidate if not given; labels in `have` are paid.
    """
    if not candidates:
        raise InputError("No pilot to choose from. Give at least one number of labels.")
    end = final or max(candidates, key=costs.of)
    logs_PK = posterior.log_errors([end, *candidates])
    shared_KK = np.cov(logs_PK.T)
    settings = posterior.settings
    noise = settings.model_spread**2 + settings.frame_spread**2 / frames
    falls_K = shared_KK[0, 1:] ** 2 / (np.diag(shared_KK)[1:] + noise)
    prices = [max(costs.of(each.beyond(have)), CHEAPEST_PILOT) for each in candidates]
    return candidates[int(np.argmax(falls_K / prices))]
