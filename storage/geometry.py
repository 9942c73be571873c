"""When two geometries are the same, and when they are alike.

*The same*: equal up to translation and proper rotation, atoms in their own order; then a label of
one is a label of the other. *Alike*: no interatomic distance differs by more than a threshold, each
set of distances sorted within its pair of elements, so blind to mirror images and to the numbering
of like atoms too; so is every model that is trained here.

Legend of shapes: `N` geometries, `A` atoms, `P` pairs of atoms, `K` columns of the coarse search.
Lengths in Å.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from forgefield.storage.records import Array

Indices = NDArray[np.intp]

SAME_GEOMETRY_A = 5e-7
"""No atom further off after superposition: forces then differ by less than 1e-3 kcal/mol/Å.

A stretching bond's force constant is about 50 eV/Å², which makes 2.5e-5 eV/Å of 5e-7 Å.
"""
FEATURES = 8
MOST_PAIRS = 2**16
"""Pairs of atoms that distance features are made of, at most: all of them up to 362 atoms."""
_COARSE_COLUMNS = 6


def pair_distances(positions_NA3: Array) -> Array:
    """Distances of all pairs of atoms, (N, P), in the order of `combinations`."""
    return _distances(positions_NA3, *np.triu_indices(positions_NA3.shape[1], k=1))


def sorted_distances(numbers: Sequence[int], distances_NP: Array) -> Array:
    """The same distances sorted within each pair of elements, (N, P)."""
    kinds = [tuple(sorted(pair)) for pair in combinations(numbers, 2)]
    blocks = [distances_NP[:, :0]]
    for kind in sorted(set(kinds)):
        columns = [p for p, other in enumerate(kinds) if other == kind]
        blocks.append(np.sort(distances_NP[:, columns], axis=1))
    return np.concatenate(blocks, axis=1)


def close_pairs(features_NP: Array, threshold: float) -> NDArray[np.intp]:
    """Pairs (i < j), ordered by i, whose features differ by no more than `threshold`.

    Candidates come from a tree over the widest columns, which can only underestimate.
    """
    widest_K = np.argsort(features_NP.std(axis=0))[::-1][:_COARSE_COLUMNS]
    tree = cKDTree(features_NP[:, widest_K])
    candidates = tree.query_pairs(threshold, p=np.inf, output_type="ndarray")
    close = [
        chunk[np.abs(features_NP[chunk[:, 0]] - features_NP[chunk[:, 1]]).max(axis=1) <= threshold]
        for chunk in np.array_split(candidates, len(candidates) // 10_000 + 1)
    ]
    found = np.concatenate(close)
    return np.asarray(found[np.lexsort((found[:, 1], found[:, 0]))])


def distance_features(positions_NA3: Array) -> Array:
    """Means over up to eight disjoint sets of pair distances, (N, ≤ 8).

    They don't change by translation, rotation or reflection, and where no pair distance differs by
    more than t, neither does a feature: equal geometries are found by a search in few dimensions.
    Of many atoms only `MOST_PAIRS` pairs count, which keeps memory in bounds; what else differs is
    for `superpose` to see.
    """
    distances = _distances(positions_NA3, *_bounded_pairs(positions_NA3.shape[1]))
    sets = min(FEATURES, distances.shape[1])
    return np.stack([distances[:, k::sets].mean(axis=1) for k in range(sets)], axis=1)


def _bounded_pairs(atoms: int) -> tuple[Indices, Indices]:
    """All pairs, or of many atoms each with so many others, evenly spread; always the same."""
    if atoms * (atoms - 1) // 2 <= MOST_PAIRS:
        return np.triu_indices(atoms, k=1)
    others = MOST_PAIRS // atoms
    apart = 1 + np.arange(others) * (atoms // 2 - 1) // others
    first = np.repeat(np.arange(atoms), others)
    return first, (first + np.tile(apart, atoms)) % atoms


def _distances(positions_NA3: Array, i_P: Indices, j_P: Indices) -> Array:
    steps_NP3 = positions_NA3[:, i_P] - positions_NA3[:, j_P]
    return np.asarray(np.sqrt(np.einsum("npx,npx->np", steps_NP3, steps_NP3)))


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
