"""What an evaluation found, as documents, and what follows from it in words."""

import numpy as np

from forgefield.platform.distance_errors import NO_BOUNDS, DistanceErrors
from forgefield.platform.screen.wording import UNIT, three_digits
from forgefield.storage.documents import Document

FEW = 10
"""Test frames below which an interval is not to be taken at its word."""


class Errors(Document):
    """Errors of one force field; forces in kcal/mol/Å, energies in kcal/mol.

    `low` and `high` bound the component-wise force MAE at 95 %, as `trainers.evaluation` says.
    `energy_mae` is of energies relative to their mean difference over the test frames.
    `force_cosine` is the mean cosine between predicted and true forces of an atom. `by_distance`
    is empty where the run's training frames are gone.
    """

    model_config = NO_BOUNDS

    name: str
    force_mae: float
    low: float
    high: float
    force_rmse: float
    energy_mae: float
    force_mae_by_element: dict[str, float]
    force_cosine: float | None = None
    by_distance: tuple[DistanceErrors, ...] = ()


class Evaluation(Document):
    """Force field against baseline on the same frames.

    `method` labelled the test frames; `imitates` is what the force field was trained on where
    that is another method, else empty. `gain` is baseline MAE − force-field MAE,
    `gain_low`..`gain_high` its paired 95 % interval: above zero the three stages paid. Of the
    frames, `trained_on` have geometries that training or the choice of models saw: no test frames.
    """

    model_config = NO_BOUNDS
    method: str
    imitates: str = ""
    test_set: str
    frames: int
    force_field: Errors
    baseline: Errors
    gain: float
    gain_low: float
    gain_high: float
    trained_on: int = 0


def verdict(found: Evaluation) -> str:
    """Whether the three stages paid, by how much, and how sure that is."""
    if found.trained_on:
        return (
            f"No test: training or the choice of models saw {found.trained_on} of these "
            f"{found.frames} geometries, so the errors are too small. Without a file, "
            "`platform evaluate` takes the hold-out."
        )
    said = _outcome(found)
    if found.frames < FEW:
        frames = "1 test frame" if found.frames == 1 else f"{found.frames} test frames"
        said += f" With only {frames} the interval is rough."
    return said


def _outcome(found: Evaluation) -> str:
    old, new = found.baseline.force_mae, found.force_field.force_mae
    interval = f"95 % interval {_signed(found.gain_low)} to {_signed(found.gain_high)} {UNIT}"
    gain = f"(gain {_signed(found.gain)}, {interval})"
    if found.gain_low > 0:
        return (
            f"The three stages beat the standard training on the same accurate labels: the force "
            f"error is {100 * found.gain / old:.0f} % smaller, {three_digits(new)} instead of "
            f"{three_digits(old)} {UNIT} {gain}."
        )
    if found.gain_high < 0:
        return (
            f"The three stages did not pay: the standard training on the same accurate labels is "
            f"better, {three_digits(old)} instead of {three_digits(new)} {UNIT} {gain}."
        )
    return (
        f"Undecided: the three stages and the standard training differ by {_signed(found.gain)} "
        f"{UNIT} ({interval}), which includes zero. More test frames would tell."
    )


def _signed(value: float) -> str:
    sign = "+" if value > 0 else "−" if value < 0 else ""
    return sign + ("∞" if np.isinf(value) else three_digits(abs(value)))
