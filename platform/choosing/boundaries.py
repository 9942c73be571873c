"""Which geometries are physical: no two atoms on top of each other, no bond torn.

Bonds are read from geometries that were labelled, since these are known to be physical: pairs
whose median distance there is below `REACH` times the sum of the covalent radii. All of those
geometries are inside the boundaries, whatever they look like. New bonds may form, as when a proton
moves, as long as the old one isn't torn.

Legend: `F` and `S` geometries, `A` atoms, `P` pairs of atoms. Å.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from ase.data import covalent_radii
from numpy.typing import NDArray

from forgefield.labelers.distinct import COLLISION
from forgefield.storage.errors import InputError
from forgefield.storage.geometry import pair_distances
from forgefield.storage.records import Array

REACH = 1.25
MARGIN = 0.05
"""Share by which the boundaries lie beyond the labelled geometries themselves."""


@dataclass(frozen=True, slots=True, eq=False)
class Boundaries:
    """The shortest and the longest distance that each pair of atoms may have, (P,)."""

    shortest_P: Array
    longest_P: Array

    def hold(self, positions_FA3: Array) -> NDArray[np.bool_]:
        """Mask (F,) of the geometries inside; those with numbers that aren't finite are not."""
        with np.errstate(over="ignore", invalid="ignore"):
            length_FP = pair_distances(positions_FA3)
            inside_FP = (length_FP > self.shortest_P) & (length_FP < self.longest_P)
        finite_F = np.isfinite(positions_FA3).all(axis=(1, 2))
        return np.asarray(inside_FP.all(axis=1) & finite_F)


def boundaries_of(numbers: Sequence[int], starts_SA3: Array, stretch: float) -> Boundaries:
    """Boundaries around labelled geometries; a bond may be `stretch` times its median length."""
    if not len(starts_SA3) or not np.isfinite(starts_SA3).all():
        raise InputError(
            f"{len(starts_SA3)} geometries to start from: exploring needs at least one that was "
            "labelled, with finite coordinates"
        )
    length_SP = pair_distances(starts_SA3)
    radii_A = covalent_radii[list(numbers)]
    touch_P = np.array([one + other for one, other in combinations(radii_A, 2)])
    median_P = np.median(length_SP, axis=0)
    torn_P = np.maximum(stretch * median_P, (1 + MARGIN) * length_SP.max(axis=0))
    return Boundaries(
        shortest_P=np.minimum(COLLISION * touch_P, (1 - MARGIN) * length_SP.min(axis=0)),
        longest_P=np.where(median_P < REACH * touch_P, torn_P, np.inf),
    )
