"""Errors by the distance of test frames from those that were trained on, as documents."""

from pydantic import ConfigDict

from forgefield.storage.documents import Document
from forgefield.storage.frames import Frames
from forgefield.storage.records import Array

NO_BOUNDS = ConfigDict(ser_json_inf_nan="strings")
"""One frame has an infinite interval, which JSON has no number for."""


class DistanceErrors(Document):
    """Force MAE, bounded at 95 %, of the test frames between two distances from training, Å.

    The distance is that of `trainers.evaluation.distances`, to the nearest accurate frame trained
    on; infinite for a molecule that wasn't.
    """

    model_config = NO_BOUNDS

    nearest: float
    farthest: float
    frames: int
    force_mae: float
    low: float
    high: float


def errors_by_distance(
    forces_A3: Array, frames: Frames, trained: Frames
) -> tuple[DistanceErrors, ...]:
    """Force errors (kcal/mol/Å) of predicted `forces_A3` (A, 3) eV/Å; empty without `trained`."""
    from forgefield.trainers.evaluation import by_distance

    if not len(trained):
        return ()
    return tuple(
        DistanceErrors(
            nearest=each.nearest,
            farthest=each.farthest,
            frames=each.frames,
            force_mae=each.force_mae_kcal.value,
            low=each.force_mae_kcal.low,
            high=each.force_mae_kcal.high,
        )
        for each in by_distance(forces_A3, frames, trained)
    )
