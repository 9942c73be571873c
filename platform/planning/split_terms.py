"""What a split of a budget goes by, and the limits that follow from it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from forgefield.platform.planning.allocation_settings import (
    CHEAP,
    MIDDLE,
    TARGET,
    AllocationSettings,
    fewest_target_labels,
)
from forgefield.storage.records import Tier


@dataclass(frozen=True, slots=True)
class Terms:
    """What a split goes by: core-seconds a label, the recipe, and training labels at hand.

    `learnt` are the tiers that a training reads.
    """

    cost: Mapping[Tier, float]
    settings: AllocationSettings
    imported: Mapping[Tier, int]
    learnt: Collection[Tier]

    def there(self, tier: Tier) -> int:
        """Training labels of a tier that cost nothing."""
        return self.imported.get(tier, 0)

    @property
    def is_middle_worth(self) -> bool:
        """Whether a training reads the middle tier and it is cheaper than the target by enough."""
        dear = self.cost[TARGET] < self.settings.least_cost_ratio * self.cost[MIDDLE]
        return MIDDLE in self.learnt and not dear

    def cheap(self, core_seconds: float, tier: Tier) -> int:
        """Labels of a cheap tier to buy for training."""
        wanted = max(0, self.settings.cheap_labels - self.there(tier))
        return min(wanted, int(self.settings.cheap_cost_share * core_seconds / self.cost[tier]))

    def beside_cheap(self, core_seconds: float) -> float:
        """What is left for the middle and the target tier."""
        left = core_seconds * (1 - self.settings.spare_share)
        for tier in CHEAP:
            bought = self.cheap(core_seconds, tier) + self.settings.calibration(tier)
            left -= bought * self.cost[tier]
        return left

    def middle_beside_fewest(self, core_seconds: float) -> int:
        """Middle-tier labels beside the fewest target ones; negative where those cost more."""
        left = self.beside_cheap(core_seconds)
        fewest = fewest_target_labels(self.settings) * self.cost[TARGET]
        return int((left - fewest) // self.cost[MIDDLE])

    def most_middle(self, left: float) -> int:
        """The most where the target tier gets all of `left` that these leave."""
        least = self.settings.calibration_labels
        if not self.is_middle_worth:
            return least
        each = self.settings.middle_per_target
        for_imports = each * self.there(TARGET) - self.there(MIDDLE)
        price = self.cost[TARGET] + each * self.cost[MIDDLE]
        target = max(0.0, (left - for_imports * self.cost[MIDDLE]) / price)
        return max(least, int(each * target + for_imports))
