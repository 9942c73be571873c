"""How a budget is split between tiers: pure arithmetic on costs, no labels bought here.

The split between the two dear tiers is the one with the least expected error by a posterior of the
error model (`forecasting.splitting`), with the price of validation and hold-out in it. Cheap labels
get a small share of the money; middle-tier ones are capped by the target-tier labels beside them,
and what is left goes to the target tier. Training labels that are there already cost nothing: they
count in what is best, and fewer of their tier are bought.
"""

import itertools
from collections.abc import Collection, Mapping
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
from forgefield.platform.planning.split_terms import Terms
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
    learnt: Collection[Tier] = tuple(Tier),
) -> Allocation:
    """Split `core_seconds` between the tiers; raises `BudgetTooSmall` naming the least budget.

    `imported` are training labels that are there at no cost. Of a middle tier that is not `learnt`
    nothing is bought beyond calibration.
    """
    terms = Terms(label_cost, settings, imported, learnt)
    cheap = {tier: terms.cheap(core_seconds, tier) for tier in CHEAP}
    left = terms.beside_cheap(core_seconds)
    middle = terms.middle_beside_fewest(core_seconds)
    if middle < settings.calibration_labels:
        raise BudgetTooSmall(_too_small(core_seconds, terms))
    middle = min(middle, terms.most_middle(left), _best_middle(posterior, left, terms, cheap))
    target = int((left - middle * terms.cost[MIDDLE]) / terms.cost[TARGET])
    target = min(target, settings.most_target)
    return Allocation(_purposes(target, middle, cheap, settings))


def _best_middle(posterior: Posterior, left: float, terms: Terms, cheap: Mapping[Tier, int]) -> int:
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


def _limits(fewest: Counts, cheap: Mapping[Tier, int], terms: Terms) -> Limits:
    """Of labels in all, those at hand included; cheap ones are settled and count as at hand."""
    settings = terms.settings
    all_cheap = sum(cheap[tier] + terms.there(tier) for tier in CHEAP if tier in terms.learnt)
    have = Counts(terms.there(TARGET), terms.there(MIDDLE), all_cheap)
    target = have.target + settings.most_target
    middle = int(settings.middle_per_target * target) if terms.is_middle_worth else 0
    least = have.plus(fewest)
    return Limits(least, Counts(target, middle, all_cheap).at_least(least), have)


def _too_small(core_seconds: float, terms: Terms) -> str:
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
