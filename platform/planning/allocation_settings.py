"""Settings of the split between tiers: data alone."""

from typing import Any, Self

from pydantic import (
    Field,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from forgefield.storage.documents import Document
from forgefield.storage.records import Tier

TARGET = Tier.CCSD
MIDDLE = Tier.DFT
CHEAP = (Tier.EMPIRICAL, Tier.XTB)
OLDER_EXPONENTS = frozenset({"alpha", "alpha_cheap", "beta"})
LARGEST_KEPT = 0.8
"""Most of the target labels that may be kept for validation and hold-out."""
LARGEST_LOSS = 0.9
"""Most of a budget that the cheap tiers and the reserve may take."""


class AllocationSettings(Document):
    """Shares of the target tier, and the caps on cheap labels."""

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


def fewest_target_labels(settings: AllocationSettings) -> int:
    """Target-tier labels of the least campaign: calibration, training, validation, hold-out."""
    fewest = settings.calibration_labels + settings.fewest_train
    return fewest + settings.fewest_validation + settings.fewest_holdout
