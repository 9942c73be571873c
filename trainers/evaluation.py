"""How far a force field is from reference labels, with intervals that can be believed.

Force errors are over components, as MD17, rMD17 and ASTEROID quote them: the mean of
|F_k − f_k| over all atoms and x, y, z. Energies are compared in float64, twice: as they are,
and after the mean difference is removed (`centred`), which is what a force field of one molecule
can be asked for.

Intervals are of means over *frames*, since atoms of a frame aren't independent:

- fewer than 20 frames: Student's t over per-frame values. A percentile bootstrap of 4 frames
  that says 95 % covers 80 %;
- 20 and more: seeded percentile bootstrap, its percentiles moved out to where Student's t puts
  them for that many frames (the expanded interval of Hesterberg, Am. Stat. 69, 371, 2015);
- one frame says nothing of the spread: its interval is infinite.

Both take frames for independent, and t their errors for about normal; below ten frames that
can't be checked. Errors end at 0 below.

Legend: `F` frames, `A` atoms, `B` bootstrap draws. Units: eV, eV/Å; `*_kcal` kcal/mol(/Å).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, stdtrit

from forgefield.storage.elements import SYMBOLS
from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.records import Array
from forgefield.storage.units import KCAL_PER_MOL_PER_EV
from forgefield.trainers.force_field import ForceField

DRAWS = 2000
LEVEL = 0.95
FEWEST_TO_DRAW = 20
"""Frames from which on the bootstrap is used; Student's t below."""
BLOCK = 4_000_000
"""Frame indices that are drawn at once, which bounds memory."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with the two ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Errors:
    """Errors of one force field on one set of frames; all but `frames` in kcal/mol and Å.

    `element_mae_kcal` is the force MAE per chemical symbol. The centred energy error has no
    interval: that of a spread about its own mean would need more frames than there mostly are.
    """

    frames: int
    force_mae_kcal: Interval
    force_rmse_kcal: Interval
    energy_mae_kcal: Interval
    energy_centred_mae_kcal: float
    element_mae_kcal: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Force MAE of `first` minus that of `second` on the same frames, kcal/mol/Å.

    `better` says which is better beyond the interval: "first", "second" or "undecided".
    """

    difference_kcal: Interval
    better: str


def evaluate(force_field: ForceField, frames: Frames, *, seed: int = 0) -> Errors:
    """Errors on frames with forces; raises `InputError` without any."""
    energy_F, forces_A3 = force_field.predict(frames)
    return errors(energy_F, forces_A3, frames, seed=seed)


def errors(energy_F: Array, forces_A3: Array, frames: Frames, *, seed: int = 0) -> Errors:
    """Errors of predicted energies (F,) eV and forces (A, 3) eV/Å against the labels."""
    mean_F, square_F = _per_frame(forces_A3, frames)
    gap_F = (energy_F - frames.energy_F) * KCAL_PER_MOL_PER_EV
    size_F = np.diff(frames.ptr).astype(np.float64)
    square = _from_zero(interval_of_mean(square_F, size_F, seed=seed))
    return Errors(
        frames=len(frames),
        force_mae_kcal=_from_zero(interval_of_mean(mean_F, size_F, seed=seed)),
        force_rmse_kcal=Interval(square.value**0.5, square.low**0.5, square.high**0.5),
        energy_mae_kcal=_from_zero(
            interval_of_mean(np.abs(gap_F), np.ones(len(frames)), seed=seed)
        ),
        energy_centred_mae_kcal=float(np.abs(gap_F - gap_F.mean()).mean()),
        element_mae_kcal=_per_element(forces_A3, frames),
    )


def compare(first: ForceField, second: ForceField, frames: Frames, *, seed: int = 0) -> Comparison:
    """Paired: the interval is of the difference on each frame, so what is hard for both cancels."""
    ours, _ = _per_frame(first.predict(frames)[1], frames)
    theirs, _ = _per_frame(second.predict(frames)[1], frames)
    size_F = np.diff(frames.ptr).astype(np.float64)
    difference = interval_of_mean(ours - theirs, size_F, seed=seed)
    verdict = "undecided"
    if difference.high < 0:
        verdict = "first"
    elif difference.low > 0:
        verdict = "second"
    return Comparison(difference, verdict)


def interval_of_mean(values_F: Array, size_F: Array, *, seed: int = 0) -> Interval:
    """Mean over frames, each weighing its atoms `size_F`, and its 95 % interval.

    With unequal sizes the spread is that of a ratio estimator: residuals times relative size.
    """
    frames = len(values_F)
    value = float(np.average(values_F, weights=size_F))
    if frames == 1:
        return Interval(value, -np.inf, np.inf)
    quantile = float(stdtrit(frames - 1, (1 + LEVEL) / 2))
    if frames < FEWEST_TO_DRAW:
        rest_F = size_F / size_F.mean() * (values_F - value)
        half = quantile * float(np.sqrt((rest_F**2).sum() / (frames * (frames - 1))))
        return Interval(value, value - half, value + half)
    tail = float(ndtr(-quantile * (frames / (frames - 1)) ** 0.5))
    low, high = np.quantile(_drawn_means(values_F, size_F, seed), [tail, 1 - tail])
    return Interval(value, float(low), float(high))


def _drawn_means(values_F: Array, size_F: Array, seed: int) -> Array:
    """Mean over atoms of each bootstrap draw, (B,)."""
    generator = np.random.default_rng(seed)
    frames = len(values_F)
    rows = max(1, BLOCK // frames)
    means = []
    for start in range(0, DRAWS, rows):
        draws = generator.integers(0, frames, size=(min(rows, DRAWS - start), frames))
        weight = size_F[draws]
        means.append((values_F[draws] * weight).sum(axis=1) / weight.sum(axis=1))
    return np.concatenate(means)


def _from_zero(found: Interval) -> Interval:
    return Interval(found.value, max(found.low, 0.0), found.high)


def _per_frame(forces_A3: Array, frames: Frames) -> tuple[Array, Array]:
    """Mean absolute and mean square force error of each frame, (F,), kcal/mol/Å (squared)."""
    gap_A3 = (forces_A3 - frames.forces_A3) * KCAL_PER_MOL_PER_EV
    if not len(frames) or not np.isfinite(gap_A3).all():
        raise InputError("errors need at least one frame, and forces on every frame")
    size_F = np.diff(frames.ptr)
    absolute_F = np.add.reduceat(np.abs(gap_A3).mean(axis=1), frames.ptr[:-1]) / size_F
    square_F = np.add.reduceat((gap_A3**2).mean(axis=1), frames.ptr[:-1]) / size_F
    return absolute_F, square_F


def _per_element(forces_A3: Array, frames: Frames) -> dict[str, float]:
    gap_A = np.abs(forces_A3 - frames.forces_A3).mean(axis=1) * KCAL_PER_MOL_PER_EV
    found = np.unique(frames.numbers)
    return {SYMBOLS[int(z)]: float(gap_A[frames.numbers == z].mean()) for z in found}
