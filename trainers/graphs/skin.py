"""A neighbour table that stays right while atoms move.

It is made for a cutoff longer by a skin, and made again when the cell changed or an atom moved
more than half the skin: until then no pair can have come nearer than the cutoff unseen. Pairs
in the skin are beyond the cutoff and the models fade them out. Legend: `A` atoms. Units: Å.
"""

import numpy as np

from forgefield.storage.records import Array
from forgefield.trainers.graphs.boxes import pairs_of_frames
from forgefield.trainers.graphs.neighbours import Slots, into_slots


class SkinnedTable:
    """Neighbours of one configuration in motion; `made` counts how often they were searched."""

    def __init__(self, cutoff: float, skin: float) -> None:
        self.cutoff, self.skin, self.made = cutoff, skin, 0
        self._slots: Slots | None = None
        self._positions, self._cell = np.empty((0, 3)), np.empty((3, 3))

    def at(self, positions: Array, cell_33: Array) -> Slots:
        """The table for `positions` (A, 3); `cell_33` as in `Frames`, NaN for none.

        It never gets narrower, so that what was compiled for its width is seldom compiled again.
        """
        if self._slots is None or self._moved(positions, cell_33):
            width = 1 if self._slots is None else self._slots.neighbour_AK.shape[1]
            ptr = np.array([0, len(positions)])
            pairs = pairs_of_frames(ptr, positions, cell_33[None], self.cutoff + self.skin)
            self._slots = into_slots(pairs, len(positions), self.cutoff, at_least=width)
            self._positions, self._cell = positions.copy(), cell_33.copy()
            self.made += 1
        return self._slots

    def _moved(self, positions: Array, cell_33: Array) -> bool:
        if len(positions) != len(self._positions):
            return True
        if not np.array_equal(cell_33, self._cell, equal_nan=True):
            return True
        step_A3 = positions - self._positions
        farthest = np.einsum("ij,ij->i", step_A3, step_A3).max(initial=0.0)
        return bool(farthest > (self.skin / 2) ** 2)
