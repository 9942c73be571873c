"""How far apart geometries of one molecule are: a descriptor, and distances in it.

The descriptor is made of all interatomic distances, sorted within each pair of elements, so it is
blind to rotations, mirror images and the numbering of like atoms, and so is every model that is
trained here. Each length r is squeezed to R·(1 − e^(−r/R)): a change of a bond then counts for
three times that of a distance of 4 Å. The squeeze never lengthens a difference, so what differs
by more than a threshold here does so in Å as well; geometries that don't may pass for alike.

Legend: `F` and `G` geometries, `A` atoms, `D` columns. Å.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy.spatial.distance import cdist

from forgefield.storage.geometry import pair_distances, sorted_distances
from forgefield.storage.records import Array

SQUEEZE_A = 3.0
"""R: lengths far beyond it count for little."""
MOST_COLUMNS = 4096
"""Of more distances than that only so many are kept, evenly spread over the sorted ones."""
AT_ONCE = 2**22
"""Distances of geometries, or of atoms, in memory at once."""

Measure = Literal["mean", "largest"]


def shape_features(numbers: Sequence[int], positions_FA3: Array) -> Array:
    """The descriptor of each geometry, (F, D) Å."""
    atoms = len(numbers)
    rows = max(1, AT_ONCE // max(1, atoms * (atoms - 1) // 2))
    starts = range(0, max(1, len(positions_FA3)), rows)
    parts = [_features(numbers, positions_FA3[start : start + rows]) for start in starts]
    return np.concatenate(parts)


def _features(numbers: Sequence[int], positions_FA3: Array) -> Array:
    sorted_FD = sorted_distances(numbers, pair_distances(positions_FA3))
    step = -(-sorted_FD.shape[1] // MOST_COLUMNS) or 1
    return np.asarray(-SQUEEZE_A * np.expm1(-sorted_FD[:, ::step] / SQUEEZE_A))


def nearest(features_FD: Array, others_GD: Array, measure: Measure = "mean") -> Array:
    """Distance (F,) of each geometry to the nearest of `others`, infinite where there are none.

    "mean" is the root mean square over columns, "largest" the largest difference of a column.
    """
    least_F = np.full(len(features_FD), np.inf)
    rows = max(1, AT_ONCE // max(1, len(features_FD)))
    for start in range(0, len(others_GD), rows):
        found_FG = distances(features_FD, others_GD[start : start + rows], measure)
        np.minimum(least_F, found_FG.min(axis=1), out=least_F)
    return least_F


def distances(features_FD: Array, others_GD: Array, measure: Measure = "mean") -> Array:
    """All distances between two sets of geometries, (F, G)."""
    columns = features_FD.shape[1]
    if not columns:
        return np.zeros((len(features_FD), len(others_GD)))
    if measure == "largest":
        return np.asarray(cdist(features_FD, others_GD, "chebyshev"))
    return np.asarray(cdist(features_FD, others_GD) / np.sqrt(columns))
