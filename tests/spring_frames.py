"""Frames of a methoxy-like molecule whose atoms are all joined by springs, for tests of models.

Springs of like atoms are alike, so that every permutation of them is a symmetry.
"""

import numpy as np
from flat_molecules import frames_of

from forgefield.storage.frames import Frames
from forgefield.storage.records import Array

NUMBERS = np.array([8, 6, 1, 1, 1])
SHAPE = np.array(
    [[0.0, 0.0, 1.3], [0.0, 0.0, 0.0], [1.0, 0.0, -0.4], [-0.5, 0.87, -0.4], [-0.5, -0.87, -0.4]]
)
TURNS = [[0, 1, 3, 4, 2], [0, 1, 4, 2, 3]]


def _distances(positions_A3: Array) -> Array:
    return np.linalg.norm(positions_A3[:, None] - positions_A3[None], axis=2)


def label(positions_A3: Array) -> tuple[float, Array]:
    """Energy and forces of anharmonic springs at rest in `SHAPE`."""
    gap_AA3 = positions_A3[:, None] - positions_A3[None]
    length_AA = _distances(positions_A3) + np.eye(len(NUMBERS))
    stretch_AA = length_AA - _distances(SHAPE) - np.eye(len(NUMBERS))
    energy = 0.5 * (4 * stretch_AA**2 - 2 * stretch_AA**3).sum()
    slope_AA = 8 * stretch_AA - 6 * stretch_AA**2
    return float(energy), -((slope_AA / length_AA)[..., None] * gap_AA3).sum(axis=1)


def springs(count: int, seed: int) -> Frames:
    """Distorted geometries; the three hydrogens are numbered in one of three ways at random."""
    random = np.random.default_rng(seed)
    positions = SHAPE + random.normal(scale=0.08, size=(count, *SHAPE.shape))
    labels = [label(each) for each in positions]
    orders = [random.permutation([[0, 1, 2, 3, 4], *TURNS])[0] for _ in range(count)]
    shapes = np.array([x[p] for x, p in zip(positions, orders, strict=True)])
    forces = np.array([f[p] for (_, f), p in zip(labels, orders, strict=True)])
    return frames_of(NUMBERS, shapes, np.array([e for e, _ in labels]) - 500, forces)
