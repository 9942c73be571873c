"""What a label of a tier costs, and how many of them a plan buys; costs in core-seconds."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from forgefield.storage.documents import FiniteDocument
from forgefield.storage.records import Tier

MOST_LABELS = 10**9
LabelCount = Annotated[int, Field(ge=0, le=MOST_LABELS)]


@dataclass(frozen=True, slots=True)
class TierCost:
    """Cost of one label: mean and a 90 % range in core-seconds; `measured` labels behind it.

    `source` says in words where it comes from.
    """

    core_seconds: float
    low: float
    high: float
    memory_bytes: int
    measured: int = 0
    source: str = ""


class TierQuote(FiniteDocument):
    """What one tier costs and how many of its labels are bought.

    `imported` are training labels that were there when the plan was made, at no cost.
    """

    tier: Tier
    method: str
    core_seconds: PositiveFloat
    low: PositiveFloat
    high: PositiveFloat
    memory_bytes: PositiveInt
    threads: PositiveInt
    measured: NonNegativeInt
    fits: bool
    labels: dict[str, LabelCount]
    source: str = ""
    imported: LabelCount = 0

    def to_cost(self) -> TierCost:
        """The cost alone."""
        return TierCost(
            self.core_seconds, self.low, self.high, self.memory_bytes, self.measured, self.source
        )

    @property
    def total(self) -> int:
        """Labels of all purposes."""
        return sum(self.labels.values())

    @property
    def cost(self) -> float:
        """Core-seconds of them all."""
        return self.total * self.core_seconds
