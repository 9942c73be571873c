"""How a sum of money is best split between tiers.

The best split has the least expected ln e over the posterior. Without floors, cheap labels or
limits it is n_H = (B/c_H)·α/(α + βα_L) and n_D = (B/c_D)·βα_L/(α + βα_L); with them it is
searched: cheap labels and the target tier's share on a grid, the middle tier taking the rest, the
grid drawn together around the best point. A split never costs more than the money, and no label
that would fit is left unbought, unless its tier is full.

A campaign asks it again after every round, so each batch goes where all that is left leads: no
tier is bought by its next label's gain alone, and a round's labels are the pilots of the next.

`Limits.have` are labels that are paid; they cost nothing and can't be given back. Costs are
core-seconds, errors kcal/mol/Å.
"""

from forgefield.platform.forecasting.counts import Costs, Counts
from forgefield.platform.forecasting.error_model import Posterior
from forgefield.platform.forecasting.searching import Limits, grid, spent
from forgefield.storage.errors import BudgetTooSmall

__all__ = ["Costs", "Limits", "best_split"]

NARROWER, ROUNDS = 4.0, 4


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


def _too_small(core_seconds: float, costs: Costs, limits: Limits) -> str:
    need = costs.of(limits.least.beyond(limits.have))
    return (
        f"{core_seconds:.3g} core-seconds don't buy the fewest labels to train on, "
        f"{limits.fewest.triple} (target, middle, cheap): {need:.3g} core-seconds. "
        f"Give at least {-(-need // costs.target):.0f} target-tier labels' worth."
    )
