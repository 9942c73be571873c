"""How far a force field is from reference labels, with intervals that can be believed.

Force errors are over components, as MD17, rMD17 and ASTEROID quote them: the mean of
|F_k − f_k| over all atoms and x, y, z. Energies are compared in float64, twice: as they are,
and after the mean difference is removed (`centred`), which is what a force field of one molecule
can be asked for. Intervals: percentile bootstrap over *frames* (atoms of a frame aren't
independent), seeded.

Legend: `F` frames, `A` atoms, `B` bootstrap draws. Units: eV, eV/Å; `*_kcal` kcal/mol(/Å).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from forgefield.storage.elements import SYMBOLS
from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.records import Array
from forgefield.storage.units import KCAL_PER_MOL_PER_EV
from forgefield.trainers.force_field import ForceField

DRAWS = 2000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with the two ends of its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Errors:
    """Errors of one force field on one set of frames; all but `frames` in kcal/mol and Å.

    `element_mae_kcal` is the force MAE per chemical symbol.
    """

    frames: int
    force_mae_kcal: Interval
    force_rmse_kcal: Interval
    energy_mae_kcal: Interval
    energy_centred_mae_kcal: Interval
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
    draws = _draws(len(frames), seed)

    def over(values_F: Array) -> Array:
        return _weighted(values_F, size_F, draws)

    centred = np.abs(gap_F[draws] - gap_F[draws].mean(axis=1, keepdims=True)).mean(axis=1)
    return Errors(
        frames=len(frames),
        force_mae_kcal=_interval(_mean(mean_F, size_F), over(mean_F)),
        force_rmse_kcal=_interval(_mean(square_F, size_F) ** 0.5, np.sqrt(over(square_F))),
        energy_mae_kcal=_interval(float(np.abs(gap_F).mean()), np.abs(gap_F)[draws].mean(axis=1)),
        energy_centred_mae_kcal=_interval(float(np.abs(gap_F - gap_F.mean()).mean()), centred),
        element_mae_kcal=_per_element(forces_A3, frames),
    )


def compare(first: ForceField, second: ForceField, frames: Frames, *, seed: int = 0) -> Comparison:
    """Paired: both are judged on the same frames of every bootstrap draw."""
    ours, _ = _per_frame(first.predict(frames)[1], frames)
    theirs, _ = _per_frame(second.predict(frames)[1], frames)
    size_F = np.diff(frames.ptr).astype(np.float64)
    drawn = _weighted(ours - theirs, size_F, _draws(len(frames), seed))
    difference = _interval(_mean(ours - theirs, size_F), drawn)
    verdict = "undecided"
    if difference.high < 0:
        verdict = "first"
    elif difference.low > 0:
        verdict = "second"
    return Comparison(difference, verdict)


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


def _draws(frames: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    generator = np.random.default_rng(seed)
    return generator.integers(0, frames, size=(DRAWS, frames))


def _mean(values_F: Array, size_F: Array) -> float:
    return float(np.average(values_F, weights=size_F))


def _weighted(
    values_F: Array, size_F: Array, draws: np.ndarray[tuple[int, int], np.dtype[np.int64]]
) -> Array:
    """Mean over atoms of each bootstrap draw, (B,)."""
    weight = size_F[draws]
    return np.asarray((values_F[draws] * weight).sum(axis=1) / weight.sum(axis=1))


def _interval(value: float, drawn: Array) -> Interval:
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))
