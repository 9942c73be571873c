"""Errors of predicted energies and forces on one set of frames.

Force errors are over components, as MD17, rMD17 and ASTEROID quote them: the mean of
|F_k − f_k| over all atoms and x, y, z. Energies are compared in float64, twice: as they are,
and after the mean difference is removed (`centred`), which is what a force field of one molecule
can be asked for.

`force_cosine` is the mean over atoms of cos(F, f), as OC20 defines it (arXiv 2010.09990):
directions alone, so small forces count as much as large ones; atoms whose reference force is
zero have no direction and are left out.

Legend: `F` frames, `A` atoms. Units: eV, eV/Å; `*_kcal` kcal/mol(/Å).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from forgefield.storage.elements import SYMBOLS
from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.records import Array
from forgefield.storage.units import KCAL_PER_MOL_PER_EV
from forgefield.trainers.evaluation.intervals import Interval, interval_of_mean


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
    force_cosine: float


class Predicts(Protocol):
    """A force field, or a committee: energies (F,) eV and forces (A, 3) eV/Å for frames."""

    def predict(self, frames: Frames) -> tuple[Array, Array]:
        """Energies and forces."""
        ...


def evaluate(force_field: Predicts, frames: Frames, *, seed: int = 0) -> Errors:
    """Errors on frames with forces; raises `InputError` without any."""
    energy_F, forces_A3 = force_field.predict(frames)
    return errors(energy_F, forces_A3, frames, seed=seed)


def errors(energy_F: Array, forces_A3: Array, frames: Frames, *, seed: int = 0) -> Errors:
    """Errors of predicted energies (F,) eV and forces (A, 3) eV/Å against the labels."""
    mean_F, square_F = force_errors_by_frame(forces_A3, frames)
    gap_F = (energy_F - frames.energy_F) * KCAL_PER_MOL_PER_EV
    size_F = atoms_by_frame(frames)
    one_F = np.ones(len(frames))
    return Errors(
        frames=len(frames),
        force_mae_kcal=interval_of_mean(mean_F, size_F, seed=seed).from_zero(),
        force_rmse_kcal=interval_of_mean(square_F, size_F, seed=seed).from_zero().root(),
        energy_mae_kcal=interval_of_mean(np.abs(gap_F), one_F, seed=seed).from_zero(),
        energy_centred_mae_kcal=float(np.abs(gap_F - gap_F.mean()).mean()),
        element_mae_kcal=_per_element(forces_A3, frames),
        force_cosine=force_cosine(forces_A3, frames.forces_A3),
    )


def force_errors_by_frame(forces_A3: Array, frames: Frames) -> tuple[Array, Array]:
    """Mean absolute and mean square force error of each frame, (F,), kcal/mol/Å (squared)."""
    gap_A3 = (forces_A3 - frames.forces_A3) * KCAL_PER_MOL_PER_EV
    if not len(frames) or not np.isfinite(gap_A3).all():
        raise InputError("errors need at least one frame, and forces on every frame")
    size_F = np.diff(frames.ptr)
    absolute_F = np.add.reduceat(np.abs(gap_A3).mean(axis=1), frames.ptr[:-1]) / size_F
    square_F = np.add.reduceat((gap_A3**2).mean(axis=1), frames.ptr[:-1]) / size_F
    return absolute_F, square_F


def atoms_by_frame(frames: Frames) -> Array:
    """How many atoms each frame has, (F,), as weights."""
    return np.diff(frames.ptr).astype(np.float64)


def force_cosine(forces_A3: Array, reference_A3: Array) -> float:
    """Mean cosine between predicted and reference forces; a prediction of zero counts as 0."""
    length_A = np.linalg.norm(reference_A3, axis=1)
    own_A = np.linalg.norm(forces_A3, axis=1)
    known = length_A > 0
    if not known.any():
        return float("nan")
    dot_A = (forces_A3[known] * reference_A3[known]).sum(axis=1)
    both_A = length_A[known] * own_A[known]
    return float(np.divide(dot_A, both_A, out=np.zeros_like(dot_A), where=both_A > 0).mean())


def _per_element(forces_A3: Array, frames: Frames) -> dict[str, float]:
    gap_A = np.abs(forces_A3 - frames.forces_A3).mean(axis=1) * KCAL_PER_MOL_PER_EV
    found = np.unique(frames.numbers)
    return {SYMBOLS[int(z)]: float(gap_A[frames.numbers == z].mean()) for z in found}
