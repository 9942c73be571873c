"""Numbers of labels by tier, and what a label of each costs.

Both count what a training sees: labels for training, calibration included. Validation and
hold-out labels teach nothing; whoever prices a target-tier label for training may add their
share to its cost. Costs are core-seconds a label.
"""

from dataclasses import dataclass

from forgefield.storage.errors import InputError


@dataclass(frozen=True, slots=True)
class Counts:
    """Training labels at hand: target tier, the tier below it, and all cheaper ones together."""

    target: int
    middle: int = 0
    cheap: int = 0

    def __post_init__(self) -> None:
        if min(self.triple) < 0:
            raise InputError(f"Numbers of labels can't be negative; {self.triple} are.")

    @property
    def triple(self) -> tuple[int, int, int]:
        """(target, middle, cheap)."""
        return self.target, self.middle, self.cheap

    def plus(self, other: "Counts") -> "Counts":
        """Both together."""
        return Counts(*(a + b for a, b in zip(self.triple, other.triple, strict=True)))

    def beyond(self, other: "Counts") -> "Counts":
        """What is here and not in `other`; 0 where `other` has more."""
        return Counts(*(max(a - b, 0) for a, b in zip(self.triple, other.triple, strict=True)))

    def at_least(self, other: "Counts") -> "Counts":
        """The larger of both, tier by tier."""
        return Counts(*(max(a, b) for a, b in zip(self.triple, other.triple, strict=True)))

    def at_most(self, other: "Counts") -> "Counts":
        """The smaller of both, tier by tier."""
        return Counts(*(min(a, b) for a, b in zip(self.triple, other.triple, strict=True)))

    def covers(self, other: "Counts") -> bool:
        """Whether no tier has fewer than in `other`."""
        return all(a >= b for a, b in zip(self.triple, other.triple, strict=True))


@dataclass(frozen=True, slots=True)
class Costs:
    """Core-seconds of one label by tier; 0 for labels that are there already."""

    target: float
    middle: float
    cheap: float

    def __post_init__(self) -> None:
        if self.target <= 0 or min(self.triple) < 0:
            raise InputError(
                f"A target-tier label costs more than nothing and no label less; "
                f"{self.triple} core-seconds were given. Measure them with `platform plan`."
            )

    @property
    def triple(self) -> tuple[float, float, float]:
        """(target, middle, cheap)."""
        return self.target, self.middle, self.cheap

    def of(self, counts: Counts) -> float:
        """Core-seconds of all of `counts`."""
        return sum(n * cost for n, cost in zip(counts.triple, self.triple, strict=True))
