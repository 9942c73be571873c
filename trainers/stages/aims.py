"""What phases of tasks and of recipes have in common: data that doesn't change, and their aim."""

from typing import Literal, Protocol

Aim = Literal["labels", "scores"]
"""What a phase learns from: labels, or where frames were sampled (score matching)."""


class Aimed(Protocol):
    """A phase, as far as its aim goes."""

    @property
    def objective(self) -> Aim:
        """Labels or scores."""

    @property
    def temperature(self) -> float | None:
        """K, that of the samples."""


def refuse_half_an_aim(phase: Aimed) -> None:
    """Score matching needs the temperature of its samples, labels have none: `ValueError`."""
    if (phase.objective == "scores") != (phase.temperature is not None):
        raise ValueError("objective = scores and temperature (K) go together: give both")
