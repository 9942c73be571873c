"""The kernel of sGDML: covariances of forces of a Gaussian process on inverse distances.

Source: Chmiela et al., Sci. Adv. 3, e1603015 (2017) and Nat. Commun. 9, 3887 (2018). With the
descriptor D_ab = 1/|x_a − x_b|, its Jacobian J, u = D − D' and d = |u|, the Matérn kernel is

    κ(d) = (1 + √5 d/σ + 5d²/3σ²) e^(−√5 d/σ),   −∇κ = g u,   ∇∇ᵀκ = h u uᵀ − g,
    g = 5/3σ² (1 + √5 d/σ) e^(−√5 d/σ),   h = 25/3σ⁴ e^(−√5 d/σ),

the covariance of two forces Jᵀ (g − h u uᵀ) J', and the one of an energy and a force −g uᵀJ'.
Every training geometry appears in all permutations of its like atoms.

Legend: `M` training geometries, `Q` others, `A` atoms, `P` pairs of atoms, `X` = 3A coordinates,
`G` permutations, `N` = M·G. Lengths in Å, descriptors and σ in 1/Å.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from forgefield.storage.records import Array

Index = NDArray[np.int64]

AT_ONCE = 2**23
"""Numbers in the largest temporary array (64 MiB)."""


@dataclass(frozen=True, slots=True, eq=False)
class Descriptors:
    """`values_MP` inverse distances and `slopes_MPX` their derivatives by the coordinates."""

    values_MP: Array
    slopes_MPX: Array


def describe(positions_MA3: Array) -> Descriptors:
    """Descriptors of geometries whose atoms all have the same order."""
    frames, atoms, _ = positions_MA3.shape
    first, second = np.triu_indices(atoms, 1)
    gap_MP3 = positions_MA3[:, first] - positions_MA3[:, second]
    values_MP = ((gap_MP3**2).sum(axis=2)) ** -0.5
    pull_MP3 = -gap_MP3 * values_MP[..., None] ** 3
    slopes = np.zeros((frames, len(first), atoms, 3))
    pair = np.arange(len(first))
    slopes[:, pair, first] = pull_MP3
    slopes[:, pair, second] = -pull_MP3
    return Descriptors(values_MP, slopes.reshape(frames, len(first), 3 * atoms))


def permuted_pairs(permutations_GA: Index) -> Index:
    """What permutations of atoms make of pairs of atoms, (G, P)."""
    atoms = permutations_GA.shape[1]
    first, second = np.triu_indices(atoms, 1)
    place_AA = np.zeros((atoms, atoms), dtype=np.int64)
    place_AA[first, second] = place_AA[second, first] = np.arange(len(first))
    return np.asarray(place_AA[permutations_GA[:, first], permutations_GA[:, second]])


def force_covariances(known: Descriptors, pairs_GP: Index, sigma: float) -> Array:
    """The upper triangle of the matrix (M·X, M·X), zeros below it, in C order."""
    frames, _, coordinates = known.slopes_MPX.shape
    matrix = np.zeros((frames * coordinates, frames * coordinates))
    for row in range(frames):
        block_MXX = _row_of_blocks(known, row, pairs_GP, sigma)
        rows = slice(row * coordinates, (row + 1) * coordinates)
        matrix[rows, row * coordinates :] = block_MXX.transpose(1, 0, 2).reshape(coordinates, -1)
    return matrix


def _row_of_blocks(known: Descriptors, row: int, pairs_GP: Index, sigma: float) -> Array:
    """Covariances of geometry `row`, permuted, with itself and all later ones, (M', X, X)."""
    values_GP = known.values_MP[row][pairs_GP]
    slopes_GPX = known.slopes_MPX[row][pairs_GP]
    later = len(known.values_MP) - row
    step = max(1, AT_ONCE // max(slopes_GPX.size, 1))
    starts = range(row, row + later, step)
    ends = [min(start + step, row + later) for start in starts]
    parts = [
        _blocks(
            known.values_MP[start:end], known.slopes_MPX[start:end], values_GP, slopes_GPX, sigma
        )
        for start, end in zip(starts, ends, strict=True)
    ]
    return np.concatenate(parts)


def _blocks(
    values_MP: Array, slopes_MPX: Array, values_GP: Array, slopes_GPX: Array, sigma: float
) -> Array:
    """Σ over permutations of J'ᵀ (g − h u uᵀ) J, (M, X, X): permuted geometry by the others."""
    _, pairs, coordinates = slopes_GPX.shape
    u_MGP = values_MP[:, None] - values_GP
    g_MG, h_MG = shapes(np.sqrt((u_MGP**2).sum(axis=2)), sigma)
    mixed = (g_MG @ slopes_GPX.reshape(len(values_GP), -1)).reshape(-1, pairs, coordinates)
    plain_MXX = mixed.transpose(0, 2, 1) @ slopes_MPX
    one_MXG = (u_MGP.transpose(1, 0, 2) @ slopes_GPX).transpose(1, 2, 0)
    other_MGX = u_MGP @ slopes_MPX
    return np.asarray(plain_MXX - (one_MXG * h_MG[:, None]) @ other_MGX)


def shapes(distance: Array, sigma: float) -> tuple[Array, Array]:
    """The functions g and h of the module docstring."""
    ratio = np.sqrt(5) / sigma * distance
    fall = np.exp(-ratio)
    return 5 / (3 * sigma**2) * (1 + ratio) * fall, 25 / (3 * sigma**4) * fall


@dataclass(frozen=True, slots=True, eq=False)
class Expansion:
    """A fitted field: descriptors `values_NP` and `weights_NP`, the coefficients behind J."""

    values_NP: Array
    weights_NP: Array
    sigma: float

    @classmethod
    def of(cls, known: Descriptors, pairs_GP: Index, coefficients_MX: Array, sigma: float) -> Self:
        """The expansion in covariances with the forces of the training geometries."""
        weights_MP = (known.slopes_MPX @ coefficients_MX[..., None])[..., 0]
        columns = known.values_MP.shape[1]
        values_NP = known.values_MP[:, pairs_GP].reshape(-1, columns)
        return cls(values_NP, weights_MP[:, pairs_GP].reshape(-1, columns), sigma)

    def energies_and_forces(self, positions_QA3: Array) -> tuple[Array, Array]:
        """Energies (Q,) up to a constant, and forces (Q, A, 3), which are their slopes."""
        step = max(1, AT_ONCE // max(1, len(self.values_NP)))
        parts = [
            self._evaluate(positions_QA3[start : start + step])
            for start in range(0, len(positions_QA3), step)
        ]
        energies = [energy for energy, _ in parts]
        forces = [force for _, force in parts]
        shape = positions_QA3.shape
        return np.concatenate([np.empty(0), *energies]), np.concatenate(
            [np.empty((0, *shape[1:])), *forces]
        )

    def _evaluate(self, positions_QA3: Array) -> tuple[Array, Array]:
        """Matrix products alone; descriptors are taken from their mean, so that digits stay."""
        here, origin_P = describe(positions_QA3), self.values_NP.mean(axis=0)
        new_QP, old_NP = here.values_MP - origin_P, self.values_NP - origin_P
        squares = (new_QP**2).sum(axis=1)[:, None] + (old_NP**2).sum(axis=1)
        distance_QN = np.sqrt(np.maximum(squares - 2 * new_QP @ old_NP.T, 0.0))
        g_QN, h_QN = shapes(distance_QN, self.sigma)
        along_QN = new_QP @ self.weights_NP.T - (old_NP * self.weights_NP).sum(axis=1)
        pull_QN = h_QN * along_QN
        slope_QP = g_QN @ self.weights_NP + pull_QN @ old_NP
        slope_QP -= pull_QN.sum(axis=1)[:, None] * new_QP
        forces_QX = (slope_QP[:, None] @ here.slopes_MPX)[:, 0]
        return -(g_QN * along_QN).sum(axis=1), forces_QX.reshape(positions_QA3.shape)
