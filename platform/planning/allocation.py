"""How a budget is split between tiers: pure arithmetic on costs, no labels bought here.

The split between the two dear tiers is the one with the least expected error by a posterior of the
error model (`forecasting.splitting`), with the price of validation and hold-out in it. Cheap labels
get a small share of the money; middle-tier ones are capped by the target-tier labels beside them,
and what is left goes to the target tier. Training labels that are there already cost nothing: they
count in what is best, and fewer of their tier are bought.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from forgefield.platform.forecasting.counts import Costs, Counts
from forgefield.platform.forecasting.error_model import Posterior
from forgefield.platform.forecasting.splitting import Limits, best_split
from forgefield.platform.planning.allocation_settings import (
    CHEAP,
    MIDDLE,
    TARGET,
    AllocationSettings,
    fewest_target_labels,
)
from forgefield.platform.planning.budget import rounded_up
from forgefield.storage.errors import BudgetTooSmall
from forgefield.storage.records import Purpose, Tier
from forgefield.storage.units import CORE_SECONDS_PER_CORE_HOUR

__all__ = [
    "CHEAP",
    "MIDDLE",
    "TARGET",
    "Allocation",
    "AllocationSettings",
    "allocate",
    "calibration_core_seconds",
    "fewest_target_labels",
]


NOTHING: Mapping[Tier, int] = MappingProxyType({})
"""No imported labels."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """Labels to buy by tier and purpose, calibration included."""

    counts: Mapping[tuple[Tier, Purpose], int]

    def of(self, tier: Tier, purpose: Purpose | None = None) -> int:
        """Labels of a tier, for one purpose or for all."""
        return sum(n for (t, p), n in self.counts.items() if t == tier and purpose in (None, p))

    def cost(self, label_cost: Mapping[Tier, float]) -> float:
        """Core-seconds of all labels."""
        return sum(n * label_cost[tier] for (tier, _), n in self.counts.items())


@dataclass(frozen=True, slots=True)
class _Terms:
    """What a split goes by: core-seconds a label, the recipe, and training labels at hand."""

    cost: Mapping[Tier, float]
    settings: AllocationSettings
    imported: Mapping[Tier, int]

    def there(self, tier: Tier) -> int:
        """Training labels of a tier that cost nothing."""
        return self.imported.get(tier, 0)

    @property
    def is_middle_dear(self) -> bool:
        """Whether the middle tier is hardly cheaper than the target, as for water."""
        return self.cost[TARGET] < self.settings.least_cost_ratio * self.cost[MIDDLE]

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
        if self.is_middle_dear:
            return least
        each = self.settings.middle_per_target
        for_imports = each * self.there(TARGET) - self.there(MIDDLE)
        price = self.cost[TARGET] + each * self.cost[MIDDLE]
        target = max(0.0, (left - for_imports * self.cost[MIDDLE]) / price)
        return max(least, int(each * target + for_imports))


def calibration_core_seconds(
    label_cost: Mapping[Tier, float], settings: AllocationSettings
) -> float:
    """Core-seconds of the calibration: the same few geometries at every tier."""
    return sum(settings.calibration(tier) * label_cost[tier] for tier in Tier)


def allocate(
    core_seconds: float,
    label_cost: Mapping[Tier, float],
    settings: AllocationSettings,
    posterior: Posterior,
    imported: Mapping[Tier, int] = NOTHING,
) -> Allocation:
    """Split `core_seconds` between the tiers; raises `BudgetTooSmall` naming the least budget.

    `imported` are training labels that are there at no cost.
    """
    terms = _Terms(label_cost, settings, imported)
    cheap = {tier: terms.cheap(core_seconds, tier) for tier in CHEAP}
    left = terms.beside_cheap(core_seconds)
    middle = terms.middle_beside_fewest(core_seconds)
    if middle < settings.calibration_labels:
        raise BudgetTooSmall(_too_small(core_seconds, terms))
    middle = min(middle, terms.most_middle(left), _best_middle(posterior, left, terms, cheap))
    target = int((left - middle * terms.cost[MIDDLE]) / terms.cost[TARGET])
    target = min(target, settings.most_target)
    return Allocation(_purposes(target, middle, cheap, settings))


def _best_middle(
    posterior: Posterior, left: float, terms: _Terms, cheap: Mapping[Tier, int]
) -> int:
    """Middle-tier labels to buy for the best split.

    A training label of the target tier costs its share of validation and hold-out with it, until
    these have their most; then they are a price of their own.
    """
    settings = terms.settings
    share = settings.validation_share + settings.holdout_share
    most = settings.most_validation + settings.most_holdout
    fewest = Counts(
        settings.calibration_labels + settings.fewest_train, settings.calibration_labels
    )
    prices = Costs(terms.cost[TARGET], terms.cost[MIDDLE], 0.0)
    limits = _limits(fewest, cheap, terms)
    shared = Costs(prices.target / (1 - share), prices.middle, 0.0)
    kept = fewest_target_labels(settings) - fewest.target
    if shared.of(fewest) > left:
        split = best_split(posterior, left - kept * prices.target, prices, limits)
    else:
        split = best_split(posterior, left, shared, limits)
    if share * split.beyond(limits.have).target / (1 - share) > most:
        split = best_split(posterior, left - most * prices.target, prices, limits)
    return split.beyond(limits.have).middle


def _limits(fewest: Counts, cheap: Mapping[Tier, int], terms: _Terms) -> Limits:
    """Of labels in all, those at hand included; cheap ones are settled and count as at hand."""
    settings = terms.settings
    all_cheap = sum(cheap[tier] + terms.there(tier) for tier in CHEAP)
    have = Counts(terms.there(TARGET), terms.there(MIDDLE), all_cheap)
    target = have.target + settings.most_target
    middle = 0 if terms.is_middle_dear else int(settings.middle_per_target * target)
    least = have.plus(fewest)
    return Limits(least, Counts(target, middle, all_cheap).at_least(least), have)


def _too_small(core_seconds: float, terms: _Terms) -> str:
    settings = terms.settings
    fewest, price = fewest_target_labels(settings), terms.cost[TARGET]
    begin = int(fewest + settings.calibration_labels * terms.cost[MIDDLE] / price)
    enough = (
        count
        for count in itertools.count(begin, max(1, begin // 100))
        if terms.middle_beside_fewest(count * price) >= settings.calibration_labels
    )
    least = next(enough)
    hours = rounded_up(least * price / CORE_SECONDS_PER_CORE_HOUR, 3)
    return (
        f"The budget is worth {core_seconds / price:.3g} target-tier labels; the least "
        f"campaign needs {fewest} of them ({settings.calibration_labels} calibration, "
        f"{settings.fewest_train} training, {settings.fewest_validation} validation, "
        f"{settings.fewest_holdout} hold-out) and cheaper ones beside them that cost as much as "
        f"{least - fewest} more. Give at least {least}ccsd = {hours:g}cpuh."
    )


def _purposes(
    target: int, middle: int, cheap: Mapping[Tier, int], settings: AllocationSettings
) -> dict[tuple[Tier, Purpose], int]:
    holdout = _clip(target * settings.holdout_share, settings.fewest_holdout, settings.most_holdout)
    validation = _clip(
        target * settings.validation_share, settings.fewest_validation, settings.most_validation
    )
    calibration = settings.calibration_labels
    # Small plans: what is over the fewest of all purposes goes to the hold-out first.
    over = target - fewest_target_labels(settings)
    holdout = min(holdout, settings.fewest_holdout + over)
    over -= holdout - settings.fewest_holdout
    validation = min(validation, settings.fewest_validation + over)
    counts = {(tier, Purpose.CALIBRATION): settings.calibration(tier) for tier in Tier}
    counts |= {(tier, Purpose.TRAIN): n for tier, n in cheap.items()}
    counts[MIDDLE, Purpose.TRAIN] = middle - calibration
    counts[TARGET, Purpose.TRAIN] = target - calibration - holdout - validation
    counts[TARGET, Purpose.VALIDATION] = validation
    counts[TARGET, Purpose.HOLDOUT] = holdout
    return counts


def _clip(value: float, low: int, high: int) -> int:
    return max(low, min(high, round(value)))
