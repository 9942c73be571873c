"""Which frames of a molecule are really different, and which are broken.

Frames are told apart by the likeness of `storage.geometry`. Legend: `F` frames, `P` pairs. Å.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from forgefield.storage.geometry import close_pairs
from forgefield.storage.records import Array

COLLISION = 0.6
"""Bonded or not, no two atoms come nearer than this share of their covalent radii's sum."""


def distinct(features_FP: Array, threshold: float) -> NDArray[np.bool_]:
    """Mask (F,) of frames farther than `threshold` from every earlier frame that was kept."""
    keep_F = np.ones(len(features_FP), dtype=bool)
    for i, j in close_pairs(features_FP, threshold):
        if keep_F[i]:
            keep_F[j] = False
    return keep_F


def collided(numbers: Sequence[int], distances_FP: Array) -> NDArray[np.bool_]:
    """Mask (F,) of frames in which two atoms overlap or a coordinate isn't finite."""
    from ase.data import covalent_radii

    radii_A = covalent_radii[list(numbers)]
    least_P = COLLISION * np.array([a + b for a, b in combinations(radii_A, 2)])
    return np.asarray(~(distances_FP > least_P).all(axis=1))
