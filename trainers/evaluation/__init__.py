"""How far a force field is from reference labels, in numbers that can be believed."""

from forgefield.trainers.evaluation.comparing import Comparison, compare_forces
from forgefield.trainers.evaluation.distances import DistanceBin, by_distance, distances_to
from forgefield.trainers.evaluation.errors import Errors, errors, evaluate
from forgefield.trainers.evaluation.intervals import (
    FEWEST_TO_DRAW,
    Interval,
    interval_of_mean,
)

__all__ = [
    "FEWEST_TO_DRAW",
    "Comparison",
    "DistanceBin",
    "Errors",
    "Interval",
    "by_distance",
    "compare_forces",
    "distances_to",
    "errors",
    "evaluate",
    "interval_of_mean",
]
