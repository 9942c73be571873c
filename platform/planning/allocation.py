"""How a budget is split between tiers: pure arithmetic on costs, no labels bought here.

The split between the two dear tiers is the one with the least expected error by a posterior of the
error model (`forecasting.splitting`), with the price of validation and hold-out in it. Cheap labels
get a small share of the money; middle-tier ones are capped by the target-tier labels beside them,
and what is left goes to the target tier.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from forgefield.platform.forecasting.counts import Costs, Counts
from forgefield.platform.forecasting.error_model import Posterior
from forgefield.platform.forecasting.splitting import Limits, best_split
from forgefield.platform.planning.budget import rounded_up
from forgefield.storage.errors import BudgetTooSmall
from forgefield.storage.records import Purpose, Tier
from forgefield.storage.units import CORE_SECONDS_PER_CORE_HOUR

TARGET = Tier.CCSD
MIDDLE = Tier.DFT
CHEAP = (Tier.EMPIRICAL, Tier.XTB)
OLDER_EXPONENTS = frozenset({"alpha", "alpha_cheap", "beta"})
LARGEST_KEPT = 0.8
"""Most of the target labels that may be kept for validation and hold-out."""
LARGEST_LOSS = 0.9
"""Most of a budget that the cheap tiers and the reserve may take."""


class AllocationSettings(BaseModel):
    """Shares of the target tier, and the caps on cheap labels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    calibration_labels: PositiveInt = 2
    cheap_calibration_labels: PositiveInt = 20
    validation_share: float = Field(0.15, gt=0, lt=0.5)
    holdout_share: float = Field(0.20, gt=0, lt=0.5)
    fewest_validation: PositiveInt = 2
    fewest_holdout: PositiveInt = 4
    most_validation: PositiveInt = 50
    most_holdout: PositiveInt = 50
    fewest_train: PositiveInt = 2
    most_target: PositiveInt = 10_000
    cheap_labels: PositiveInt = 2000
    cheap_cost_share: float = Field(0.05, gt=0, lt=0.5)
    middle_per_target: PositiveFloat = 50.0
    least_cost_ratio: PositiveFloat = 2.0
    spare_share: float = Field(0.02, ge=0, lt=0.5)

    @model_validator(mode="before")
    @classmethod
    def _without_exponents(cls, values: Any) -> Any:  # noqa: ANN401
        """Older recipes and plans have them; `forecast` holds their successors."""
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if name not in OLDER_EXPONENTS}

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        """Whatever the budget, all purposes get their labels."""
        for purpose in ("validation", "holdout"):
            fewest, most = (getattr(self, f"{word}_{purpose}") for word in ("fewest", "most"))
            if fewest > most:
                raise ValueError(
                    f"fewest_{purpose} = {fewest} is more than most_{purpose} = {most}"
                )
        least = fewest_target_labels(self)
        if least > self.most_target:
            raise ValueError(
                f"most_target = {self.most_target} is less than the {least} labels that "
                "calibration and the fewest of train, validation and holdout make"
            )
        if self.validation_share + self.holdout_share > LARGEST_KEPT:
            raise ValueError(
                f"validation_share and holdout_share keep more than {LARGEST_KEPT:g} of the target "
                "labels from training"
            )
        if self.spare_share + len(CHEAP) * self.cheap_cost_share > LARGEST_LOSS:
            raise ValueError("spare_share and cheap_cost_share leave little for the dear tiers")
        return self

    def calibration(self, tier: Tier) -> int:
        """Calibration labels of a tier; more where they cost next to nothing."""
        return self.cheap_calibration_labels if tier in CHEAP else self.calibration_labels


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
) -> Allocation:
    """Split `core_seconds` between the tiers; raises `BudgetTooSmall` naming the least budget."""
    cheap = {tier: _cheap_labels(core_seconds, label_cost[tier], settings) for tier in CHEAP}
    left = _beside_cheap(core_seconds, label_cost, settings)
    middle = _middle_beside_fewest(core_seconds, label_cost, settings)
    if middle < settings.calibration_labels:
        raise BudgetTooSmall(_too_small(core_seconds, label_cost, settings))
    # The most where the target tier gets all the money that these leave.
    price = label_cost[TARGET] + settings.middle_per_target * label_cost[MIDDLE]
    most = _most_middle(left / price, label_cost, settings)
    middle = min(middle, most, _best_middle(posterior, left, label_cost, cheap, settings))
    target = int((left - middle * label_cost[MIDDLE]) / label_cost[TARGET])
    target = min(target, settings.most_target)
    return Allocation(_purposes(target, middle, cheap, settings))


def _best_middle(
    posterior: Posterior,
    left: float,
    label_cost: Mapping[Tier, float],
    cheap: Mapping[Tier, int],
    settings: AllocationSettings,
) -> int:
    """Middle-tier labels of the best split.

    A training label of the target tier costs its share of validation and hold-out with it, until
    these have their most; then they are a price of their own.
    """
    share = settings.validation_share + settings.holdout_share
    most = settings.most_validation + settings.most_holdout
    fewest = Counts(
        settings.calibration_labels + settings.fewest_train, settings.calibration_labels
    )
    prices = Costs(label_cost[TARGET], label_cost[MIDDLE], 0.0)
    limits = _limits(fewest, sum(cheap.values()), label_cost, settings)
    shared = Costs(prices.target / (1 - share), prices.middle, 0.0)
    kept = fewest_target_labels(settings) - fewest.target
    if shared.of(fewest) > left:
        split = best_split(posterior, left - kept * prices.target, prices, limits)
    else:
        split = best_split(posterior, left, shared, limits)
    if share * split.target / (1 - share) > most:
        split = best_split(posterior, left - most * prices.target, prices, limits)
    return split.middle


def _limits(
    fewest: Counts, cheap: int, label_cost: Mapping[Tier, float], settings: AllocationSettings
) -> Limits:
    dear = label_cost[TARGET] < settings.least_cost_ratio * label_cost[MIDDLE]
    middle = fewest.middle if dear else int(settings.middle_per_target * settings.most_target)
    most = Counts(settings.most_target, max(middle, fewest.middle), cheap)
    return Limits(fewest, most.at_least(fewest), Counts(0, 0, cheap))


def _most_middle(
    target: float, label_cost: Mapping[Tier, float], settings: AllocationSettings
) -> int:
    """Calibration only where the middle tier is hardly cheaper than the target (water)."""
    if label_cost[TARGET] < settings.least_cost_ratio * label_cost[MIDDLE]:
        return settings.calibration_labels
    return max(settings.calibration_labels, int(settings.middle_per_target * target))


def fewest_target_labels(settings: AllocationSettings) -> int:
    """Target-tier labels of the least campaign: calibration, training, validation, hold-out."""
    fewest = settings.calibration_labels + settings.fewest_train
    return fewest + settings.fewest_validation + settings.fewest_holdout


def _cheap_labels(core_seconds: float, cost: float, settings: AllocationSettings) -> int:
    return min(settings.cheap_labels, int(settings.cheap_cost_share * core_seconds / cost))


def _beside_cheap(
    core_seconds: float, label_cost: Mapping[Tier, float], settings: AllocationSettings
) -> float:
    """What is left for the middle and the target tier."""
    left = core_seconds * (1 - settings.spare_share)
    for tier in CHEAP:
        bought = _cheap_labels(core_seconds, label_cost[tier], settings)
        left -= (bought + settings.calibration(tier)) * label_cost[tier]
    return left


def _middle_beside_fewest(
    core_seconds: float, label_cost: Mapping[Tier, float], settings: AllocationSettings
) -> int:
    """Middle-tier labels beside the fewest of the target tier; negative where they cost more."""
    left = _beside_cheap(core_seconds, label_cost, settings)
    return int((left - fewest_target_labels(settings) * label_cost[TARGET]) // label_cost[MIDDLE])


def _too_small(
    core_seconds: float, label_cost: Mapping[Tier, float], settings: AllocationSettings
) -> str:
    fewest, price = fewest_target_labels(settings), label_cost[TARGET]
    begin = int(fewest + settings.calibration_labels * label_cost[MIDDLE] / price)
    enough = (
        count
        for count in itertools.count(begin, max(1, begin // 100))
        if _middle_beside_fewest(count * price, label_cost, settings) >= settings.calibration_labels
    )
    least = next(enough)
    hours = rounded_up(least * price / CORE_SECONDS_PER_CORE_HOUR, 3)
    return (
        f"The budget is worth {core_seconds / price:.3g} target-tier labels; the least "
        f"campaign needs {fewest} of them ({settings.calibration_labels} calibration, "
        f"{settings.fewest_train} training, {settings.fewest_validation} validation, "
        f"{settings.fewest_holdout} hold-out) and cheaper ones beside them. "
        f"Give at least {least}ccsd = {hours:g}cpuh."
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
