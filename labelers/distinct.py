"""Which frames of a molecule are really different, and which are broken.

Measure: the distance between two frames is the largest difference between their interatomic
distances, each set sorted within its pair of elements. It is blind to rotation, to mirror
images and to the numbering of like atoms; so is every model that is trained here, mirror images
aside, whose energies and forces are equal too.

Legend: `F` frames, `A` atoms, `P` pairs, `K` columns of the coarse search. Å.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from forgefield.storage.records import Array

COLLISION = 0.6
"""Bonded or not, no two atoms come nearer than this share of their covalent radii's sum."""
_COARSE_COLUMNS = 6


def pair_distances(positions_FA3: Array) -> Array:
    """Interatomic distances (F, P), pairs in `combinations` order."""
    i_P, j_P = np.triu_indices(positions_FA3.shape[1], k=1)
    steps_FP3 = positions_FA3[:, i_P] - positions_FA3[:, j_P]
    return np.asarray(np.sqrt(np.einsum("fpx,fpx->fp", steps_FP3, steps_FP3)))


def sorted_distances(numbers: Sequence[int], distances_FP: Array) -> Array:
    """The same distances sorted within each pair of elements (F, P)."""
    kinds = [tuple(sorted(pair)) for pair in combinations(numbers, 2)]
    blocks = []
    for kind in sorted(set(kinds)):
        columns = [p for p, other in enumerate(kinds) if other == kind]
        blocks.append(np.sort(distances_FP[:, columns], axis=1))
    return np.concatenate(blocks, axis=1)


def distinct(features_FP: Array, threshold: float) -> NDArray[np.bool_]:
    """Mask (F,) of frames farther than `threshold` from every earlier frame that was kept."""
    keep_F = np.ones(len(features_FP), dtype=bool)
    for i, j in _close_pairs(features_FP, threshold):
        if keep_F[i]:
            keep_F[j] = False
    return keep_F


def _close_pairs(features_FP: Array, threshold: float) -> NDArray[np.intp]:
    """Pairs (i < j), ordered by i, whose features differ by no more than `threshold`.

    Candidates come from a tree over the widest columns, which can only underestimate.
    """
    widest_K = np.argsort(features_FP.std(axis=0))[::-1][:_COARSE_COLUMNS]
    tree = cKDTree(features_FP[:, widest_K])
    candidates = tree.query_pairs(threshold, p=np.inf, output_type="ndarray")
    close = [
        chunk[np.abs(features_FP[chunk[:, 0]] - features_FP[chunk[:, 1]]).max(axis=1) <= threshold]
        for chunk in np.array_split(candidates, len(candidates) // 10_000 + 1)
    ]
    found = np.concatenate(close)
    return np.asarray(found[np.lexsort((found[:, 1], found[:, 0]))])


def collided(numbers: Sequence[int], distances_FP: Array) -> NDArray[np.bool_]:
    """Mask (F,) of frames in which two atoms overlap or a coordinate isn't finite."""
    from ase.data import covalent_radii

    radii_A = covalent_radii[list(numbers)]
    least_P = COLLISION * np.array([a + b for a, b in combinations(radii_A, 2)])
    return np.asarray(~(distances_FP > least_P).all(axis=1))
