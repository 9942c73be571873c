"""Whether predicted errors are right: the calibration curve, in numbers.

Source: Kuleshov, Fenner, Ermon, arXiv 1807.00263 (coverage, sharpness); Levi et al., arXiv
1905.11659 (binned errors against predicted σ). Intervals are over frames.

On the frames that taught the calibration, σ of a frame must come from a calibration that did
not see it: `left_out_sigma`.

Legend: `F` frames, `A` atoms, `L` levels. Units: eV/Å.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.ragged import Integers
from forgefield.storage.records import Array
from forgefield.trainers.evaluation.intervals import Interval, interval_of_mean
from forgefield.trainers.uncertainty.calibration import (
    calibrate_gaps,
    folds,
    force_gaps,
    negative_log_likelihood,
)

BINS = 10
FEWEST_A_BIN = 10
"""Atoms below which another bin would say nothing."""
LEVELS = tuple(round(0.05 * step, 2) for step in range(1, 20))


@dataclass(frozen=True, slots=True)
class SigmaBin:
    """Atoms of like σ: its root mean square, and that of their force components' errors."""

    predicted: float
    observed: Interval
    atoms: int


@dataclass(frozen=True, slots=True)
class Reliability:
    """How predicted σ of force components compare with errors, all in eV/Å.

    `coverage` says which share of errors lies within the central interval of each of `levels`;
    `miscalibration_area` is the area between that curve and the diagonal, 0 at best, 0.5 at
    worst. `sharpness` is the root mean square σ: of two right calibrations the sharper tells
    more. `variation` is the standard deviation of σ over its mean: 0 tells atoms apart not at
    all. `nll` is the mean −ln likelihood of a component, `nll_constant` that with one σ for all
    atoms, the best on these frames in hindsight. `rank_correlation` is Spearman's, of σ with the
    length of an atom's error.
    """

    frames: int
    bins: tuple[SigmaBin, ...]
    levels: tuple[float, ...]
    coverage: tuple[float, ...]
    miscalibration_area: float
    sharpness: float
    variation: float
    nll: float
    nll_constant: float
    rank_correlation: float


def reliability(
    forces_A3: Array, sigma_A: Array, frames: Frames, *, bins: int = BINS, seed: int = 0
) -> Reliability:
    """Hold predicted σ (A,) against the errors of predicted forces (A, 3), eV/Å.

    Raises `InputError` without frames, for unknown forces or a σ that isn't positive.
    """
    gap_A3 = force_gaps(forces_A3, frames)
    if not (sigma_A > 0).all():
        raise InputError(f"σ must be positive everywhere, the smallest is {sigma_A.min()}")
    covered_L = coverage(gap_A3, sigma_A, np.array(LEVELS))
    frame_A = np.repeat(np.arange(len(frames)), np.diff(frames.ptr))
    constant_A = np.full(len(sigma_A), np.sqrt(np.mean(gap_A3**2)))
    return Reliability(
        frames=len(frames),
        bins=_bins(gap_A3, sigma_A, frame_A, bins, seed),
        levels=LEVELS,
        coverage=tuple(covered_L.tolist()),
        miscalibration_area=miscalibration_area(np.array(LEVELS), covered_L),
        sharpness=float(np.sqrt(np.mean(sigma_A**2))),
        variation=float(sigma_A.std() / sigma_A.mean()),
        nll=float(negative_log_likelihood(gap_A3, sigma_A).mean()),
        nll_constant=float(negative_log_likelihood(gap_A3, constant_A).mean()),
        rank_correlation=_rank_correlation(sigma_A, np.linalg.norm(gap_A3, axis=1)),
    )


def left_out_sigma(
    forces_A3: Array, spread_A: Array, frames: Frames, *, power: float | None = None, seed: int = 0
) -> Array:
    """σ (A,) of each frame by a calibration on the frames outside its fold, eV/Å.

    Needs two frames or more.
    """
    gap_A3, size_F = force_gaps(forces_A3, frames), np.diff(frames.ptr)
    if len(frames) < 2:
        raise InputError("one frame can't be left out of itself: give two validation frames")
    fold_F = folds(len(frames), seed)
    fold_A = np.repeat(fold_F, size_F)
    sigma_A = np.empty(len(spread_A))
    for fold in np.unique(fold_F):
        out = fold_A == fold
        taught = calibrate_gaps(
            gap_A3[~out], spread_A[~out], size_F[fold_F != fold], seed=seed, power=power
        )
        sigma_A[out] = taught.sigma(spread_A[out])
    return sigma_A


def coverage(gap_A3: Array, sigma_A: Array, level_L: Array) -> Array:
    """Share of components within the central interval of each level, (L,)."""
    ratio = np.sort((np.abs(gap_A3) / sigma_A[:, None]).ravel())
    reach_L = ndtri((1 + level_L) / 2)
    return np.asarray(np.searchsorted(ratio, reach_L, side="right") / len(ratio))


def miscalibration_area(level_L: Array, covered_L: Array) -> float:
    """∫ |coverage − level| over levels from 0 to 1, by trapezoids."""
    gap_L = np.abs(covered_L - level_L)
    ends = np.concatenate([[0.0], level_L, [1.0]])
    return float(np.trapezoid(np.concatenate([[0.0], gap_L, [0.0]]), ends))


def _bins(
    gap_A3: Array, sigma_A: Array, frame_A: Integers, bins: int, seed: int
) -> tuple[SigmaBin, ...]:
    """Equally many atoms a bin, ordered by σ."""
    count = max(1, min(bins, len(sigma_A) // FEWEST_A_BIN))
    parts = np.array_split(np.argsort(sigma_A, kind="stable"), count)
    return tuple(_bin(gap_A3[some], sigma_A[some], frame_A[some], seed) for some in parts)


def _bin(gap_A3: Array, sigma_A: Array, frame_A: Integers, seed: int) -> SigmaBin:
    _, place, size_F = np.unique(frame_A, return_inverse=True, return_counts=True)
    per_frame = np.bincount(place, weights=(gap_A3**2).mean(axis=1)) / size_F
    found = interval_of_mean(per_frame, size_F.astype(np.float64), seed=seed).root()
    return SigmaBin(float(np.sqrt(np.mean(sigma_A**2))), found, len(sigma_A))


def _rank_correlation(first_A: Array, second_A: Array) -> float:
    """Spearman's ρ; NaN where one of them is constant."""
    one_A, other_A = rankdata(first_A), rankdata(second_A)
    both = float(one_A.std() * other_A.std())
    if both == 0:
        return float("nan")
    return float(((one_A - one_A.mean()) * (other_A - other_A.mean())).mean() / both)
