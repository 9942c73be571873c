"""Errors by how far a test frame is from the nearest frame that was trained on.

An average over test frames drawn like the training frames says little of a frame that is unlike
them. The distance is the root mean square difference, in Å, of all interatomic distances, each
set sorted within its pair of elements: blind to rotation, to the numbering of like atoms and to
mirror images, as the models are. It is a lower bound of what any matching of atoms gives.

Bins hold equally many frames and follow from geometries alone: errors can't move their edges.

Legend: `F` test frames, `N` training frames, `K` sorted distances. Units: Å; `*_kcal` kcal/mol/Å.
"""

from dataclasses import dataclass

import numpy as np

from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.likeness import likeness_features
from forgefield.storage.ragged import Integers
from forgefield.storage.records import Array
from forgefield.trainers.evaluation.errors import atoms_by_frame, force_errors_by_frame
from forgefield.trainers.evaluation.intervals import Interval, interval_of_mean

MOST_BINS = 5
FEWEST_A_BIN = 5
"""Frames below which another bin would say nothing."""
AT_ONCE = 2**22
"""Pairs of a test and a training frame that are compared at once."""


@dataclass(frozen=True, slots=True)
class DistanceBin:
    """Test frames between `nearest` and `farthest` (Å) from the training frames, and their error.

    Infinite distances are those of molecules that were not trained on.
    """

    nearest: float
    farthest: float
    frames: int
    force_mae_kcal: Interval


def by_distance(
    forces_A3: Array, frames: Frames, trained: Frames, *, bins: int = MOST_BINS, seed: int = 0
) -> tuple[DistanceBin, ...]:
    """Force MAE of predicted `forces_A3` (eV/Å) in bins of distance to the frames `trained`.

    Molecules that were never trained on get a bin of their own. With fewer than
    `FEWEST_A_BIN` frames a bin there are fewer bins.
    """
    distance_F = distances_to(trained, frames)
    error_F, _ = force_errors_by_frame(forces_A3, frames)
    size_F = atoms_by_frame(frames)
    return tuple(
        DistanceBin(
            nearest=float(distance_F[some].min()),
            farthest=float(distance_F[some].max()),
            frames=len(some),
            force_mae_kcal=interval_of_mean(error_F[some], size_F[some], seed=seed).from_zero(),
        )
        for some in _binned(distance_F, bins)
    )


def _binned(distance_F: Array, bins: int) -> list[Integers]:
    order = np.argsort(distance_F, kind="stable")
    known = order[np.isfinite(distance_F[order])]
    count = max(1, min(bins, len(known) // FEWEST_A_BIN))
    parts = [*np.array_split(known, count), order[len(known) :]]
    return [part for part in parts if len(part)]


def distances_to(trained: Frames, frames: Frames) -> Array:
    """Distance of each of `frames` to the nearest of `trained`, (F,) Å.

    Infinite where no training frame is of the same atoms. Raises `InputError` without any.
    """
    if not len(trained):
        raise InputError("distances to the training frames need at least one of them")
    both = Frames.concatenate([trained, frames])
    distance_F = np.full(len(frames), np.inf)
    for members in _kinds(both):
        old, new = members[members < len(trained)], members[members >= len(trained)]
        if len(old) and len(new):
            features = likeness_features(both, np.concatenate([old, new]))
            near = _nearest(features[: len(old)], features[len(old) :])
            distance_F[new - len(trained)] = near
    return distance_F


def _kinds(frames: Frames) -> list[Integers]:
    """Frames of the same species, in any order, and periodic in as many directions."""
    found: dict[tuple[bytes, int], list[int]] = {}
    periodic_F = (np.nan_to_num(frames.cell_F33) != 0).any(axis=2).sum(axis=1)
    for frame in range(len(frames)):
        species = np.sort(frames.numbers[frames.atoms_of(frame)]).tobytes()
        found.setdefault((species, int(periodic_F[frame])), []).append(frame)
    return [np.array(members, dtype=np.int64) for members in found.values()]


def _nearest(old_NK: Array, new_FK: Array) -> Array:
    """Root mean square difference to the nearest row of `old`, (F,); zero without columns."""
    if not old_NK.shape[1]:
        return np.zeros(len(new_FK))
    middle_K = old_NK.mean(axis=0)
    old, new = old_NK - middle_K, new_FK - middle_K
    rows = max(1, AT_ONCE // len(old))
    parts = [new[start : start + rows] for start in range(0, len(new), rows)]
    half = (old**2).sum(axis=1) / 2
    best_F = np.concatenate([np.argmin(half - part @ old.T, axis=1) for part in parts])
    return np.asarray(np.sqrt(((new - old[best_F]) ** 2).mean(axis=1)))
