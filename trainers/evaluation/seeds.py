"""Errors of a way of training: several seeds on the same test frames.

One seed's error says how good that force field is, not how good its training is. Two spreads
are kept apart: that between seeds, and that between test frames.

Legend: `S` seeds. Units: kcal/mol, kcal/mol/Å.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from forgefield.storage.errors import InputError
from forgefield.storage.records import Array
from forgefield.trainers.evaluation.errors import Errors
from forgefield.trainers.evaluation.intervals import Interval, students_interval


@dataclass(frozen=True, slots=True)
class Spread:
    """A quantity over seeds: the mean with Student's 95 % interval, and the values behind it.

    `deviation` is their standard deviation (of one fewer), NaN for a single seed.
    """

    mean: Interval
    deviation: float
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class SeedSummary:
    """Errors of several seeds of one way of training on the same frames."""

    seeds: int
    frames: int
    force_mae_kcal: Spread
    force_rmse_kcal: Spread
    energy_mae_kcal: Spread
    energy_centred_mae_kcal: Spread
    force_cosine: Spread


QUANTITIES: dict[str, Callable[[Errors], float]] = {
    "force_mae_kcal": lambda found: found.force_mae_kcal.value,
    "force_rmse_kcal": lambda found: found.force_rmse_kcal.value,
    "energy_mae_kcal": lambda found: found.energy_mae_kcal.value,
    "energy_centred_mae_kcal": lambda found: found.energy_centred_mae_kcal,
    "force_cosine": lambda found: found.force_cosine,
}


def across_seeds(found: Sequence[Errors]) -> SeedSummary:
    """Sum up one `Errors` a seed; `InputError` for none, or for other numbers of frames."""
    frames = {each.frames for each in found}
    if len(frames) != 1:
        raise InputError(
            f"errors of several seeds must be of the same test frames, got {sorted(frames)}"
        )
    values = {name: np.array([read(e) for e in found]) for name, read in QUANTITIES.items()}
    spreads = {name: spread(value_S) for name, value_S in values.items()}
    return SeedSummary(seeds=len(found), frames=frames.pop(), **spreads)


def spread(value_S: Array) -> Spread:
    """Mean, interval and deviation of one value a seed."""
    deviation = float(value_S.std(ddof=1)) if len(value_S) > 1 else float("nan")
    return Spread(students_interval(value_S), deviation, tuple(value_S.tolist()))


def seeds_differ(first: Sequence[Errors], second: Sequence[Errors]) -> Interval:
    """Force MAE of `first` minus `second`, paired seed by seed, with Student's interval.

    Give both in the order of their seeds; `InputError` where their numbers differ.
    """
    if len(first) != len(second) or not first:
        raise InputError(f"can't pair {len(first)} seeds with {len(second)}: train the same seeds")
    read = QUANTITIES["force_mae_kcal"]
    pairs = zip(first, second, strict=True)
    return students_interval(np.array([read(one) - read(other) for one, other in pairs]))
