"""Solutions of earlier frames, kept as starting points for frames that are like them.

An iteration that starts near its end takes fewer steps, and must end where it would have ended:
whoever keeps solutions here makes sure of that (`coupled_cluster.transport` does). What a solution
is, is its labeler's affair; here it is an object with a size. Superposition: Kabsch, Acta Cryst.
A 32, 922 (1976). Mixtures: Polack, Dusson, Stamm and Lipparini, J. Chem. Theory Comput. 17, 6965
(2021). Transport: Löwdin's orthogonalisation.

Legend: `N` solved frames, `A` atoms, `b` basis functions, `m` orbitals. Å.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from forgefield.storage.records import Array, Configuration

MOST_FRAMES = 64
MOST_BYTES = 200_000_000
RIDGE = 1e-4
"""Share of the mean squared distance that keeps the weights of a mixture small."""


class Solution(Protocol):
    """Anything whose size is known."""

    @property
    def nbytes(self) -> int:
        """Bytes that it holds."""


S = TypeVar("S", bound=Solution)


@dataclass(frozen=True, slots=True, eq=False)
class _Solved(Generic[S]):
    species: Hashable
    positions_A3: Array
    solution: S


@dataclass(frozen=True, slots=True, eq=False)
class Near(Generic[S]):
    """A solved frame seen from a new one: `rotation_33` turns the solved one onto the new.

    `moved_A3` (A, 3) is the solved frame superposed on the new one, `rmsd` what then separates
    them, Å.
    """

    solution: S
    rotation_33: Array
    moved_A3: Array
    rmsd: float


class Neighbours(Generic[S]):
    """Solved frames: at most `most` of a molecule and `most_bytes` of all, the oldest go first."""

    def __init__(self, most: int = MOST_FRAMES, most_bytes: int = MOST_BYTES) -> None:
        self.most, self.most_bytes = most, most_bytes
        self._solved: list[_Solved[S]] = []

    def __len__(self) -> int:
        return len(self._solved)

    @property
    def nbytes(self) -> int:
        """Bytes that the solutions hold."""
        return sum(each.solution.nbytes for each in self._solved)

    def keep(self, configuration: Configuration, solution: S) -> None:
        """Remember a frame's solution; one that alone is too large is forgotten at once."""
        species = _species(configuration)
        positions_A3 = np.array(configuration.positions_A3, dtype=np.float64)
        same = [each for each in self._solved if each.species == species]
        if len(same) >= self.most:
            self._solved.remove(same[0])
        self._solved.append(_Solved(species, positions_A3, solution))
        while self._solved and self.nbytes > self.most_bytes:
            self._solved.pop(0)

    def nearest(self, configuration: Configuration, count: int = 1) -> list[Near[S]]:
        """The most similar solved frames of the same molecule, the nearest first."""
        species = _species(configuration)
        same = [each for each in self._solved if each.species == species]
        if not same or not np.isfinite(configuration.positions_A3).all():
            return []
        near = _superposed(same, np.asarray(configuration.positions_A3, dtype=np.float64))
        return sorted(near, key=lambda each: each.rmsd)[:count]


def mixture(near: Sequence[Near[S]], positions_A3: Array) -> Array:
    """Weights (N,) that sum to one and bring the solved frames' mean nearest to the new one.

    Least squares in the superposed positions, with a ridge that keeps the weights small.
    """
    gaps_NX = np.array([(each.moved_A3 - positions_A3).ravel() for each in near])
    gram_NN = gaps_NX @ gaps_NX.T
    scale = float(np.trace(gram_NN)) / len(near)
    gram_NN[np.diag_indices(len(near))] += RIDGE * scale + 1e-12
    weights_N: Array = np.linalg.solve(gram_NN, np.ones(len(near)))
    scaled_N: Array = weights_N / weights_N.sum()
    return scaled_N


def half_powers(overlap_bb: Array) -> tuple[Array, Array]:
    """S^1/2 and S^-1/2 of a positive symmetric matrix."""
    values_b, vectors_bb = scipy.linalg.eigh(overlap_bb)
    root_b = np.sqrt(values_b)
    return (vectors_bb * root_b) @ vectors_bb.T, (vectors_bb / root_b) @ vectors_bb.T


def _species(configuration: Configuration) -> Hashable:
    return (
        configuration.molecule,
        configuration.numbers,
        configuration.charge,
        configuration.multiplicity,
    )


def _superposed(solved: Sequence[_Solved[S]], new_A3: Array) -> list[Near[S]]:
    old_NA3 = np.stack([each.positions_A3 for each in solved])
    centre_3 = new_A3.mean(axis=0)
    old_NA3 = old_NA3 - old_NA3.mean(axis=1, keepdims=True)
    rotation_N33 = rotations(old_NA3, new_A3 - centre_3)
    moved_NA3 = old_NA3 @ rotation_N33.swapaxes(1, 2) + centre_3
    rmsd_N = np.sqrt(np.mean(np.sum((moved_NA3 - new_A3) ** 2, axis=2), axis=1))
    return [
        Near(each.solution, rotation_N33[n], moved_NA3[n], float(rmsd_N[n]))
        for n, each in enumerate(solved)
    ]


def rotations(old_NA3: Array, new_A3: Array) -> Array:
    """Proper rotations (N, 3, 3) that bring centred frames `old_NA3` nearest to `new_A3`."""
    covariance_N33 = old_NA3.swapaxes(1, 2) @ new_A3
    left_N33, _, right_N33 = np.linalg.svd(covariance_N33)
    sign_N: NDArray[np.float64] = np.sign(np.linalg.det(left_N33) * np.linalg.det(right_N33))
    right_N33[:, 2] *= sign_N[:, None]
    turned_N33: Array = (left_N33 @ right_N33).swapaxes(1, 2)
    return turned_N33
