"""Neighbours through lattice images, found by the library `vesin`.

An atom of a small box can be near several images of one neighbour, and of itself; each is a pair
of its own, told apart by its translation. vesin is asked for every pair once and the reverse is
made here, with the opposite translation, so that both are there whatever rounding does.

Legend: `F` frames, `A` atoms, `E` directed pairs. Units: Å. Cells hold lattice vectors as rows,
zero where a direction is not periodic, NaN where there is no cell.
"""

import numpy as np
from numpy.typing import NDArray

from forgefield.storage.errors import InputError
from forgefield.storage.records import Array
from forgefield.trainers.graphs.neighbours import Index, Pairs, near_pairs, ragged_ranges

FLAT = 1e-6
"""A cell whose vectors, made unit vectors, span less than this volume is no cell."""


def pairs_of_frames(ptr: Index, positions: Array, cell_F33: Array, cutoff: float) -> Pairs:
    """All pairs nearer than `cutoff`, `positions` (A, 3): boxes one by one, molecules at once."""
    boxed_F = has_box(cell_F33)
    if not boxed_F.any():
        return near_pairs(ptr, positions, cutoff)
    parts = [_of_molecules(ptr, positions, ~boxed_F, cutoff)]
    for frame in np.flatnonzero(boxed_F):
        first, last = int(ptr[frame]), int(ptr[frame + 1])
        found = pairs_in_box(positions[first:last], cell_F33[frame], cutoff)
        parts.append(_renumbered(found, np.arange(first, last)))
    return _joined(parts)


def has_box(cell_F33: Array) -> NDArray[np.bool_]:
    """Which frames repeat themselves in some direction, (F,)."""
    known_F = ~np.isnan(cell_F33).any(axis=(1, 2))
    return np.asarray(known_F & (cell_F33 != 0).any(axis=(1, 2)))


def pairs_in_box(positions: Array, cell_33: Array, cutoff: float) -> Pairs:
    """All pairs of one box, `positions` (A, 3), inside it or not; `InputError` for a flat cell."""
    from vesin import NeighborList

    _refuse_flat(cell_33)
    search = NeighborList(cutoff=cutoff, full_list=False, n_threads=1)
    along = (cell_33 != 0).any(axis=1)
    atom, neighbour, image_E3 = search.compute(
        np.ascontiguousarray(positions), np.ascontiguousarray(cell_33), along, "ijS"
    )
    once = _pairs(atom, neighbour, image_E3, cell_33)
    return _joined([once, _pairs(neighbour, atom, -image_E3, cell_33)])


def _pairs(atom: Index, neighbour: Index, image_E3: Index, cell_33: Array) -> Pairs:
    image_E3 = image_E3.astype(np.int64)
    ends = atom.astype(np.int64), neighbour.astype(np.int64)
    return Pairs(*ends, image_E3, image_E3 @ cell_33)


def _refuse_flat(cell_33: Array) -> None:
    lengths = np.linalg.norm(cell_33, axis=1)
    along = lengths > 0
    unit = cell_33[along] / lengths[along, None]
    if np.linalg.det(unit @ unit.T) < FLAT**2:
        raise InputError(
            f"the lattice vectors {cell_33.tolist()} Å lie in one plane or line; give vectors "
            "that span a box, zero only where a direction is not periodic"
        )


def _of_molecules(ptr: Index, positions: Array, free_F: NDArray[np.bool_], cutoff: float) -> Pairs:
    sizes = np.diff(ptr)[free_F]
    atoms = ragged_ranges(ptr[:-1][free_F], sizes)
    own_ptr = np.concatenate([[0], np.cumsum(sizes)])
    return _renumbered(near_pairs(own_ptr, positions[atoms], cutoff), atoms)


def _renumbered(pairs: Pairs, atoms: Index) -> Pairs:
    return Pairs(atoms[pairs.atom], atoms[pairs.neighbour], pairs.image_E3, pairs.shift_E3)


def _joined(parts: list[Pairs]) -> Pairs:
    return Pairs(
        np.concatenate([part.atom for part in parts]),
        np.concatenate([part.neighbour for part in parts]),
        np.concatenate([part.image_E3 for part in parts]),
        np.concatenate([part.shift_E3 for part in parts]),
    )
