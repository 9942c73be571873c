"""What a budget buys and which error that should bring: the allocation with the error model.

Pure; costs are core-seconds a label, errors kcal/mol/Å. `Counts` are training labels of the tiers
that something trains on, calibration included.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from forgefield.platform.forecasting.counts import Counts
from forgefield.platform.forecasting.error_model import Forecast, Posterior
from forgefield.platform.planning.allocation import (
    MIDDLE,
    NOTHING,
    TARGET,
    Allocation,
    allocate,
)
from forgefield.platform.planning.fitted import fitted_counts, learnt_tiers
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.planning.training_length import last_training
from forgefield.storage.errors import BudgetTooSmall
from forgefield.storage.records import Tier

ACCURACY = 1.02
"""Factor between the two budgets that enclose the one for a target error."""
LARGEST_STEP = 2.0


@dataclass(frozen=True, slots=True)
class Outlook:
    """The error model for one molecule of `atoms` at these costs, under one recipe.

    `imported` are training labels that are there at no cost.
    """

    posterior: Posterior
    atoms: int
    label_cost: Mapping[Tier, float]
    recipe: Recipe
    imported: Mapping[Tier, int] = field(default_factory=dict)

    @classmethod
    def before_any_training(
        cls,
        atoms: int,
        label_cost: Mapping[Tier, float],
        recipe: Recipe,
        imported: Mapping[Tier, int] = NOTHING,
    ) -> "Outlook":
        """With nothing but the prior."""
        return cls(Posterior.of([], recipe.forecast, atoms), atoms, label_cost, recipe, imported)

    def at(self, core_seconds: float) -> Posterior:
        """Of errors after the training that so much money deserves."""
        return self.posterior.aimed(last_training(core_seconds, self.atoms, self.recipe))

    def split(self, core_seconds: float) -> Allocation:
        """Labels that so much money buys, best for the training it deserves; `BudgetTooSmall`."""
        posterior = self.at(core_seconds)
        settings, learnt = self.recipe.allocation, learnt_tiers(self.recipe)
        return allocate(core_seconds, self.label_cost, settings, posterior, self.imported, learnt)

    def counts(self, allocation: Allocation) -> Counts:
        """The labels that a training sees: of an allocation, and imported ones."""
        return fitted_counts(self.recipe, allocation.of, self.imported)

    def forecast(self, allocation: Allocation, core_seconds: float) -> Forecast:
        """Percentiles of the error at the end of a budget with this split."""
        return self.at(core_seconds).forecast(self.counts(allocation))

    def chance(self, error: float, core_seconds: float) -> float:
        """Probability that so much money brings this error or less; 0 where it's too little."""
        try:
            counts = self.counts(self.split(core_seconds))
        except BudgetTooSmall:
            return 0.0
        return self.at(core_seconds).chance_below(error, counts)

    def budget_for(self, error: float, confidence: float = 0.5) -> float | None:
        """Core-seconds that bring this error with `confidence`; None where no plan does.

        The least of the budgets, each `LARGEST_STEP` times the one before, whose whole plan does
        (validation, hold-out and cheap labels are in its price), to `ACCURACY`.
        """
        ladder = [self.label_cost[TARGET] * LARGEST_STEP**step for step in range(self._steps())]
        for low, high in pairwise(ladder):
            if self.chance(error, high) >= confidence:
                return self._between(low, high, error, confidence)
        return None

    def _between(self, low: float, high: float, error: float, confidence: float) -> float:
        while high > ACCURACY * low:
            middle = math.sqrt(low * high)
            enough = self.chance(error, middle) >= confidence
            low, high = (low, middle) if enough else (middle, high)
        return high

    def _steps(self) -> int:
        """Steps up to a budget that no plan can spend."""
        settings = self.recipe.allocation
        middles = settings.middle_per_target * self.label_cost[MIDDLE] / self.label_cost[TARGET]
        labels = 2 * settings.most_target * (1 + middles)
        return 2 + math.ceil(math.log(max(labels, LARGEST_STEP), LARGEST_STEP))
