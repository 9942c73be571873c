"""The plan: what a budget buys, said before anything is spent.

A JSON document with the molecule and the resolved recipe inside, so that a run can be repeated
from it alone. Once a run folder holds a calibrated plan, that one is executed.
"""

from typing import Any

from pydantic import (
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
)

from forgefield.platform.forecasting.outcomes import Training
from forgefield.platform.planning.molecule_document import MoleculeDocument
from forgefield.platform.planning.quote_parts import (
    Alternative,
    DiskQuote,
    ErrorForecast,
    MemoryQuote,
    TargetQuote,
    TrainingTime,
    WallTime,
)
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.planning.tier_quotes import TierQuote
from forgefield.storage.documents import FiniteDocument
from forgefield.storage.records import Purpose, Tier
from forgefield.storage.units import from_micro
from forgefield.trainers.model_settings import as_saved
from forgefield.trainers.stages.asteroid_settings import AsteroidSettings

FORMAT = 1


class Plan(FiniteDocument):
    """A quote that `platform run` executes; times in seconds, costs in core-seconds.

    `priced_for` is the key of the molecule that it was made for, empty in plans of before.
    """

    format: int = FORMAT
    forgefield: str
    created: float
    molecule: MoleculeDocument
    priced_for: str = ""
    budget: str
    unit_core_seconds: PositiveFloat
    cap_micro: PositiveInt
    calibrated: bool
    tiers: tuple[TierQuote, ...]
    slots: NonNegativeInt
    threads: PositiveInt
    slots_why: str = ""
    wall: tuple[WallTime, ...]
    memory: MemoryQuote | None = None
    disk: DiskQuote | None = None
    expected_error: str = ""
    forecast: ErrorForecast | None = None
    forecast_without_imports: ErrorForecast | None = None
    alternatives: tuple[Alternative, ...] = ()
    target: TargetQuote | None = None
    warnings: tuple[str, ...] = ()
    workdir: str
    training_effort: PositiveFloat = 1.0
    training_time: TrainingTime | None = None
    recipe: Recipe

    @field_validator("recipe", mode="before")
    @classmethod
    def _of_before(cls, recipe: Any) -> Any:  # noqa: ANN401
        """Older plans have one network, whose pre-training may stop early."""
        if not isinstance(recipe, dict) or not isinstance(recipe.get("training"), dict):
            return recipe
        training = {"members": 1, **recipe["training"]}
        if "model" in training:
            training["model"] = as_saved(training["model"])
        for phase in training.get("pretrain", ()):
            phase.get("fit", {}).pop("patience", None)
        return recipe | {"training": training}

    @field_validator("tiers")
    @classmethod
    def _every_tier_once(cls, tiers: tuple[TierQuote, ...]) -> tuple[TierQuote, ...]:
        if tuple(quote.tier for quote in tiers) != tuple(Tier):
            raise ValueError(f"there must be a quote for each of {', '.join(Tier)}, in this order")
        return tiers

    def tier(self, tier: Tier) -> TierQuote:
        """The quote of one tier."""
        return next(quote for quote in self.tiers if quote.tier == tier)

    @property
    def methods(self) -> dict[Tier, str]:
        """The name of the method at every tier."""
        return {quote.tier: quote.method for quote in self.tiers}

    def labels(self, tier: Tier, purpose: Purpose) -> int:
        """Planned labels of a tier for one purpose."""
        return self.tier(tier).labels.get(purpose.name.lower(), 0)

    @property
    def imported(self) -> dict[Tier, int]:
        """Training labels by tier that were there already."""
        return {quote.tier: quote.imported for quote in self.tiers}

    @property
    def training(self) -> AsteroidSettings:
        """The stages, as long as this budget deserves."""
        return self.recipe.training.longer(self.training_effort)

    @property
    def last_training(self) -> Training:
        """What the forecast is of."""
        return Training(self.training_effort, self.recipe.training.members)

    @property
    def round_training(self) -> Training:
        """What errors of rounds are of: shorter, and of single networks."""
        return Training(self.training_effort * self.recipe.rounds.effort)

    @property
    def cost(self) -> float:
        """Core-seconds of everything planned."""
        return sum(quote.cost for quote in self.tiers)

    @property
    def cap(self) -> float:
        """Core-seconds that may be spent."""
        return from_micro(self.cap_micro)

    @property
    def asked_target(self) -> float | None:
        """The force error that was asked for, kcal/mol/Å."""
        return self.target.asked if self.target else None

    def in_budget_units(self, core_seconds: float) -> float:
        """Core-seconds in the unit the budget was given in."""
        return core_seconds / self.unit_core_seconds
