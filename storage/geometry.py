"""When two geometries are the same: up to translation and rotation, atoms in their own order.

Legend of shapes: `N` geometries, `A` atoms, `P` pairs of atoms. Lengths in Å.
"""

import numpy as np
from numpy.typing import NDArray

from forgefield.storage.records import Array

SAME_GEOMETRY_A = 5e-7
"""No atom further off after superposition: forces then differ by less than 1e-3 kcal/mol/Å.

A stretching bond's force constant is about 50 eV/Å², which makes 2.5e-5 eV/Å of 5e-7 Å.
"""
FEATURES = 8


def pair_distances(positions_NA3: Array) -> Array:
    """Distances of all pairs of atoms, (N, P), in the order of `np.triu_indices`."""
    first, second = np.triu_indices(positions_NA3.shape[1], k=1)
    return np.linalg.norm(positions_NA3[:, first] - positions_NA3[:, second], axis=-1)


def distance_features(positions_NA3: Array) -> Array:
    """Means over up to eight disjoint sets of pair distances, (N, ≤ 8).

    They don't change by translation, rotation or reflection, and where no pair distance differs by
    more than t, neither does a feature: equal geometries are found by a search in few dimensions.
    """
    distances = pair_distances(positions_NA3)
    sets = min(FEATURES, distances.shape[1])
    return np.stack([distances[:, k::sets].mean(axis=1) for k in range(sets)], axis=1)


def superpose(moving_A3: Array, onto_A3: Array) -> tuple[Array, float]:
    """The proper rotation (3, 3) that brings `moving` onto `onto`, and the largest distance left.

    Rows transform by `x @ rotation` after both centroids are moved to the origin, and so do
    forces. Kabsch, Acta Cryst. A 32, 922 (1976).
    """
    moving = moving_A3 - moving_A3.mean(axis=0)
    onto = onto_A3 - onto_A3.mean(axis=0)
    left, _, right = np.linalg.svd(moving.T @ onto)
    proper = np.diag([1.0, 1.0, np.sign(np.linalg.det(left @ right)) or 1.0])
    rotation: NDArray[np.float64] = left @ proper @ right
    return rotation, float(np.linalg.norm(moving @ rotation - onto, axis=1).max(initial=0.0))
