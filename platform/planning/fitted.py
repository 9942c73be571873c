"""Which labels of a plan or an allocation a training sees: the counts that errors depend on."""

from collections.abc import Callable, Mapping

from forgefield.platform.forecasting.counts import Counts
from forgefield.platform.planning.allocation import CHEAP, MIDDLE, TARGET
from forgefield.platform.planning.recipe import Recipe
from forgefield.storage.records import Purpose, Tier


def learnt_tiers(recipe: Recipe) -> frozenset[Tier]:
    """Tiers that pre-training reads."""
    return frozenset(tier for phase in recipe.training.pretrain for tier in phase.tiers)


def fitted_counts(
    recipe: Recipe, labels: Callable[[Tier, Purpose], int], imported: Mapping[Tier, int]
) -> Counts:
    """Training labels, calibration included, of the tiers that training reads.

    `labels` are how many are bought of a tier for a purpose, `imported` the training labels of a
    tier beside them.
    """
    learnt = {TARGET, *learnt_tiers(recipe)}

    def fitted(tier: Tier) -> int:
        buys = labels(tier, Purpose.TRAIN) + labels(tier, Purpose.CALIBRATION)
        return buys + imported.get(tier, 0) if tier in learnt else 0

    return Counts(fitted(TARGET), fitted(MIDDLE), sum(fitted(tier) for tier in CHEAP))
