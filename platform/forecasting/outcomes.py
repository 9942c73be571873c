"""Errors that were seen: what a posterior is made from.

`error` is the mean absolute error of force components on target-tier frames, in kcal/mol/Å.
"""

from dataclasses import dataclass
from enum import StrEnum

from forgefield.platform.forecasting.counts import Counts
from forgefield.storage.errors import InputError


class Kind(StrEnum):
    """How a force field came about.

    `TUNED` on accurate labels after cheaper ones; `DELTA`, a field of the tier below plus one of
    the difference; `SCRATCH`, on accurate labels alone.
    """

    SCRATCH = "scratch"
    TUNED = "tuned"
    DELTA = "delta"


@dataclass(frozen=True, slots=True)
class Training:
    """How long was trained, in parts of the recipe's steps, and the mean of how many networks.

    As in `AsteroidSettings.longer`, fine-tuning takes the root of `effort`. Priors are for the
    steps of the default recipe; a recipe with others starts elsewhere.
    """

    effort: float = 1.0
    members: int = 1


PLAIN = Training()
"""What the priors were fitted to."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """An error (kcal/mol/Å) and the number of frames that it was measured on."""

    counts: Counts
    kind: Kind
    error: float
    frames: int
    training: Training = PLAIN

    def __post_init__(self) -> None:
        if not 0 < self.error < float("inf") or self.frames < 1:
            raise InputError(
                f"An error is a positive number on one frame or more; {self.error} kcal/mol/Å "
                f"on {self.frames} frames is not. Leave this training out of the forecast."
            )
