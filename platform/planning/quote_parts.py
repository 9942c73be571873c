"""Parts of a plan that say what it takes and what it should bring.

Times in seconds, costs in core-seconds, sizes in bytes, errors in kcal/mol/Å (mean absolute error
of force components). All of them are optional in a plan: older ones have none.
"""

from typing import Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

from forgefield.platform.forecasting.error_model import Percentiles
from forgefield.storage.documents import FiniteDocument

USELESS = 1.0
"""kcal/mol/Å; above it a force field is nearer to the cheap tiers than to the target."""
SLIGHT = 0.1
"""Chance below which a plan is called hopeless."""


class WallTime(FiniteDocument):
    """Labelling time on a number of nodes of `cores` each; None where a label doesn't fit."""

    nodes: PositiveInt
    cores: PositiveInt
    seconds: float | None


class MemoryQuote(FiniteDocument):
    """The largest label times the workers of a node, beside what a node has for labels."""

    label_bytes: PositiveInt
    workers: NonNegativeInt
    needed_bytes: NonNegativeInt
    node_bytes: PositiveInt


class DiskQuote(FiniteDocument):
    """What a run folder holds at most when it is done."""

    frames: NonNegativeInt
    ledger: NonNegativeInt
    spool: NonNegativeInt
    training: NonNegativeInt

    @property
    def total(self) -> int:
        """All of it."""
        return self.frames + self.ledger + self.spool + self.training


class TrainingTime(FiniteDocument):
    """The last training at its full length: time of cores and on this machine.

    In nine cases of ten it is within `factor` of that; fits that stop early make it shorter. Before
    it come `rounds` at most, each of which trains for `round_core_seconds` while labels that were
    bought ahead are computed; `round_wall_s` is how long its stages wait for each other.
    """

    core_seconds: PositiveFloat
    wall_s: PositiveFloat
    factor: PositiveFloat
    rounds: NonNegativeInt = 0
    round_core_seconds: NonNegativeFloat = 0.0
    round_wall_s: NonNegativeFloat = 0.0


class ErrorForecast(FiniteDocument):
    """The error at the end: 10, 50 and 90 %."""

    low: PositiveFloat
    median: PositiveFloat
    high: PositiveFloat

    @classmethod
    def of(cls, found: Percentiles) -> Self:
        """The same as JSON."""
        return cls(low=found.low, median=found.median, high=found.high)


class Alternative(FiniteDocument):
    """What another budget would bring; `target` and `middle` are training labels."""

    budget: str
    core_seconds: PositiveFloat
    target: NonNegativeInt
    middle: NonNegativeInt
    error: ErrorForecast
    wall_s: float | None


class TargetQuote(FiniteDocument):
    """The error that was asked for, and the budget whose median forecast reaches it.

    No budget where no plan reaches it; `chance` is that of this plan's budget.
    """

    asked: PositiveFloat
    budget: str | None
    core_seconds: PositiveFloat | None
    chance: float = Field(ge=0, le=1)


def hopeless(forecast: ErrorForecast, target: TargetQuote | None = None) -> bool:
    """Whether the target, or without one a force field of use, is expected in < 1 case of 10."""
    if target is not None and target.chance < SLIGHT:
        return True
    return forecast.low > USELESS
