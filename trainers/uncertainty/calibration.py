"""From disagreement to expected error, learnt on validation frames.

Members that share their data and their model are wrong together, so the mean force errs by more
than they disagree. Each component of an atom's force error is taken for a normal variable of
standard deviation

    σ(u) = s·u^p,  u = max(spread/√3, floor),

where `spread` is the disagreement of the force vector. Given p, the likelihood has its maximum at
s² = mean(err²/u^2p), a closed form. p = 1 scales the disagreement; p = 0 says that it tells
nothing and errors are alike everywhere; between, large disagreements exaggerate. p = 1 is kept
unless another p is better on frames left out, by more than the noise, and only 20 or more frames
may say so. `floor` keeps atoms on which all members agree from claiming certainty.

Honest limits:
- the interval of s is over frames; with under 10 it can't be checked (`rough`);
- members stopped where these very frames liked them best, so s tends to be a little small;
- s holds for frames drawn like the validation frames, not for what is far from them.

With M members that are as likely as the truth, s² = (1 + 1/M)·ν/(ν − 2), ν = 3(M − 1); a larger s
is the error that they have in common.

Legend: `F` frames, `A` atoms. Units: eV/Å.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.ragged import Integers
from forgefield.storage.records import Array, Purpose
from forgefield.trainers.evaluation.intervals import Interval, interval_of_mean

FEWEST_FOR_POWER = 20
"""Frames from which on a power other than 1 may be chosen."""
FEW = 10
"""Frames below which an interval can't be checked."""
FOLDS = 5
FLOOR = 0.01
"""In units of the root mean square of the disagreement."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """σ = scale·max(spread/√3, floor)^power; spread, floor and σ in eV/Å.

    `low` and `high` bound `scale` at 95 %, given the power; `frames` taught it.
    """

    scale: float
    low: float
    high: float
    power: float
    floor: float
    frames: int

    @property
    def rough(self) -> bool:
        """Whether there were too few frames to believe the interval."""
        return self.frames < FEW

    def sigma(self, spread_A: Array) -> Array:
        """Expected standard deviation of each force component of every atom, (A,) eV/Å."""
        return np.asarray(self.scale * raw_sigma(spread_A, self.floor) ** self.power)

    def expected_force_error(self, spread_A: Array) -> Array:
        """Expected |F − f| of the force vector of every atom, (A,) eV/Å: σ·√(8/π)."""
        return self.sigma(spread_A) * float(np.sqrt(8 / np.pi))


def calibrate(forces_A3: Array, spread_A: Array, frames: Frames, *, seed: int = 0) -> Calibration:
    """Learn scale and power from mean forces and disagreement on validation frames.

    Raises `InputError` for hold-out frames, which may decide nothing, and for missing forces.
    """
    gap_A3 = force_gaps(forces_A3, frames)
    if np.any(frames.purpose_F == int(Purpose.HOLDOUT)):
        raise InputError("a calibration may not read the hold-out; give validation frames")
    return calibrate_gaps(gap_A3, spread_A, np.diff(frames.ptr), seed=seed)


def calibrate_gaps(
    gap_A3: Array, spread_A: Array, size_F: Integers, *, seed: int = 0, power: float | None = None
) -> Calibration:
    """The same from force errors (A, 3); frames own `size_F` atoms each, in their order.

    With `power` that one is taken and nothing is chosen.
    """
    floor = FLOOR * float(np.sqrt(np.mean(spread_A**2) / 3))
    if not floor > 0:
        raise InputError("all members agree everywhere: they are the same, train other seeds")
    if power is None:
        power = _chosen_power(gap_A3, raw_sigma(spread_A, floor), size_F, seed)
    square_A = (gap_A3**2).mean(axis=1) / raw_sigma(spread_A, floor) ** (2 * power)
    starts = np.cumsum(size_F) - size_F
    per_frame = np.add.reduceat(square_A, starts) / size_F
    found = interval_of_mean(per_frame, size_F.astype(np.float64), seed=seed).root()
    return Calibration(found.value, found.low, found.high, power, floor, len(size_F))


def force_gaps(forces_A3: Array, frames: Frames) -> Array:
    """F − f, (A, 3); `InputError` without frames or with unknown forces."""
    gap_A3 = np.asarray(forces_A3 - frames.forces_A3)
    if not len(frames) or not np.isfinite(gap_A3).all():
        raise InputError("a calibration needs at least one frame, and forces on every frame")
    return gap_A3


def raw_sigma(spread_A: Array, floor: float) -> Array:
    """The u of the formula: disagreement per component, (A,) eV/Å."""
    return np.asarray(np.maximum(spread_A / np.sqrt(3), floor))


def negative_log_likelihood(gap_A3: Array, sigma_A: Array) -> Array:
    """−ln N(err; 0, σ²) of each atom, mean over its components, (A,); errors in eV/Å."""
    square_A = (gap_A3**2).mean(axis=1)
    return np.asarray(0.5 * np.log(2 * np.pi * sigma_A**2) + square_A / (2 * sigma_A**2))


def folds(frames: int, seed: int) -> Integers:
    """Which part each frame is left out with, (F,) from 0 to `FOLDS` − 1, or one frame each."""
    parts = min(FOLDS, frames)
    return np.random.default_rng(seed).permutation(np.arange(frames) % parts)


def _chosen_power(gap_A3: Array, raw_A: Array, size_F: Integers, seed: int) -> float:
    """1, or the best power where frames left out prefer it by more than their noise."""
    if len(size_F) < FEWEST_FOR_POWER:
        return 1.0
    fold_A = np.repeat(folds(len(size_F), seed), size_F)
    gain_A = np.empty(len(raw_A))
    for fold in range(FOLDS):
        out = fold_A == fold
        kept_gap, kept_raw = gap_A3[~out], raw_A[~out]
        other = _best_power(kept_gap, kept_raw)
        losses = [
            negative_log_likelihood(gap_A3[out], _scale(kept_gap, kept_raw, p) * raw_A[out] ** p)
            for p in (1.0, other)
        ]
        gain_A[out] = losses[0] - losses[1]
    gain_F = np.add.reduceat(gain_A, np.cumsum(size_F) - size_F) / size_F
    gain: Interval = interval_of_mean(gain_F, size_F.astype(np.float64), seed=seed)
    return _best_power(gap_A3, raw_A) if gain.low > 0 else 1.0


def _scale(gap_A3: Array, raw_A: Array, power: float) -> float:
    return float(np.sqrt(np.mean((gap_A3**2).mean(axis=1) / raw_A ** (2 * power))))


def _best_power(gap_A3: Array, raw_A: Array) -> float:
    """The maximum of the likelihood over p, with s at its own maximum."""
    mean_log = float(np.log(raw_A).mean())

    def loss(power: float) -> float:
        return float(np.log(_scale(gap_A3, raw_A, power)) + power * mean_log)

    return float(minimize_scalar(loss, bounds=(0.0, 2.0), method="bounded").x)
