"""Orders frames so that neighbours are alike, and cuts the order into one run a worker.

A labeler that starts from the solution of the frame before takes fewer iterations the nearer
that frame is. Measure: root-mean-square distance after the best translation and rotation (never
a reflection), atoms as numbered. A chain goes from a frame at one end to the nearest frame that
is left, and so on; the order of the file stays where its steps are as short, as in a trajectory.

Legend: `F` frames, `A` atoms. Å. Superposition: Kabsch, Acta Cryst. A 32, 922 (1976), without the
rotation itself: the sum of the singular values of the covariance is enough.
"""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from forgefield.storage.records import Array, Configuration

AS_GOOD = 1.1
"""The file's order is kept while its mean step is at most this multiple of the chain's."""
LARGEST_CHAIN = 2000
"""Frames chained at once (some seconds); more are chained in blocks as the file has them."""


def similar_order(configurations: Sequence[Configuration]) -> list[int]:
    """Indices of all configurations: those of one molecule together, neighbours alike."""
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for index, shape in enumerate(configurations):
        groups[(shape.molecule, shape.numbers, shape.charge, shape.multiplicity)].append(index)
    order = []
    for members in groups.values():
        positions_FA3 = np.stack([configurations[index].positions_A3 for index in members])
        order += [members[place] for place in similar_geometries(positions_FA3)]
    return order


def similar_geometries(positions_FA3: Array) -> list[int]:
    """An order of frames of one molecule in which every frame is like the one before."""
    blocks = range(0, len(positions_FA3), LARGEST_CHAIN)
    return [
        start + place
        for start in blocks
        for place in _order_of_block(positions_FA3[start : start + LARGEST_CHAIN])
    ]


def _order_of_block(positions_FA3: Array) -> list[int]:
    as_filed = list(range(len(positions_FA3)))
    if len(as_filed) < 3:
        return as_filed
    centred_FA3 = positions_FA3 - positions_FA3.mean(axis=1, keepdims=True)
    chain = _chain(centred_FA3)
    filed_step, chain_step = (mean_step(centred_FA3[order]) for order in (as_filed, chain))
    return as_filed if filed_step <= AS_GOOD * chain_step else chain


def mean_step(positions_FA3: Array) -> float:
    """Mean distance of each frame to the one before, Å."""
    return float(np.mean(distances(positions_FA3[1:], positions_FA3[:-1])))


def _chain(centred_FA3: Array) -> list[int]:
    """Nearest neighbours from the frame that is farthest from the first."""
    start = int(np.argmax(distances(centred_FA3, centred_FA3[0])))
    chain, left_F = [start], np.delete(np.arange(len(centred_FA3)), start)
    while left_F.size:
        nearest = int(np.argmin(distances(centred_FA3[left_F], centred_FA3[chain[-1]])))
        chain.append(int(left_F[nearest]))
        left_F = np.delete(left_F, nearest)
    return chain


def distances(ours_FA3: Array, others_FA3: Array) -> Array:
    """Distances (F,) after superposition, frame by frame or of all to one (A, 3); Å."""
    ours_FA3 = ours_FA3 - ours_FA3.mean(axis=-2, keepdims=True)
    others_FA3 = others_FA3 - others_FA3.mean(axis=-2, keepdims=True)
    covariance_F33 = np.swapaxes(ours_FA3, -1, -2) @ others_FA3
    sizes_F = np.sum(ours_FA3**2, axis=(-1, -2)) + np.sum(others_FA3**2, axis=(-1, -2))
    left_F = sizes_F - 2 * _overlap(covariance_F33)
    return np.asarray(np.sqrt(np.maximum(left_F, 0) / ours_FA3.shape[-2]))


def _overlap(covariance_F33: Array) -> Array:
    """Sum of the singular values (F,), the least one negative where a rotation alone can't do."""
    singular_F3 = np.sqrt(np.maximum(_eigenvalues(covariance_F33), 0))
    sign_F = np.sign(_determinant(covariance_F33))
    return np.asarray(singular_F3[..., 0] + singular_F3[..., 1] + sign_F * singular_F3[..., 2])


def _eigenvalues(matrix_F33: Array) -> Array:
    """Eigenvalues (F, 3) of MᵀM, largest first, from its cubic, nine times as fast as by LAPACK.

    Smith, Commun. ACM 4, 168 (1961). A distance is good to 1e-3 Å, enough to compare with.
    """
    square_F33 = np.swapaxes(matrix_F33, -1, -2) @ matrix_F33
    mean_F = np.trace(square_F33, axis1=-2, axis2=-1) / 3
    rest_F33 = square_F33 - mean_F[..., None, None] * np.eye(3)
    radius_F = np.sqrt(np.sum(rest_F33**2, axis=(-1, -2)) / 6)
    scale_F = np.where(radius_F > 0, radius_F, 1.0)
    cosine_F = np.clip(_determinant(rest_F33 / scale_F[..., None, None]) / 2, -1, 1)
    angles_F3 = np.arccos(cosine_F)[..., None] / 3 + np.array([0, 4, 2]) * np.pi / 3
    return np.asarray(mean_F[..., None] + 2 * radius_F[..., None] * np.cos(angles_F3))


def _determinant(matrix_F33: Array) -> Array:
    a_F3, b_F3, c_F3 = (matrix_F33[..., row, :] for row in range(3))
    return np.asarray(
        a_F3[..., 0] * (b_F3[..., 1] * c_F3[..., 2] - b_F3[..., 2] * c_F3[..., 1])
        - a_F3[..., 1] * (b_F3[..., 0] * c_F3[..., 2] - b_F3[..., 2] * c_F3[..., 0])
        + a_F3[..., 2] * (b_F3[..., 0] * c_F3[..., 1] - b_F3[..., 1] * c_F3[..., 0])
    )


def contiguous_runs(costs_F: Sequence[float], count: int) -> list[range]:
    """Cut 0..F-1 into at most `count` runs of about equal cost, in order and none empty."""
    if not costs_F:
        return []
    ends_F: NDArray[np.float64] = np.cumsum(np.maximum(np.asarray(costs_F, dtype=np.float64), 0))
    middles_F = ends_F - np.asarray(costs_F) / 2
    shares = np.minimum((middles_F * count / max(ends_F[-1], 1e-300)).astype(int), count - 1)
    cuts = [0, *(np.flatnonzero(np.diff(shares)) + 1).tolist(), len(costs_F)]
    return [range(start, end) for start, end in pairwise(cuts)]
