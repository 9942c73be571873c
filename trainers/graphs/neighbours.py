"""Who is near whom, and in which slot: integer work on flat arrays, done once a data set.

Legend: `F` frames, `A` atoms of all frames, `E` directed pairs, `K` slots. Units: Å.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from forgefield.storage.records import Array

Index = NDArray[np.int64]
AT_ONCE = 2**22
"""Pairs whose distances are computed at once, which bounds memory."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Directed pairs: `atom` and `neighbour` (E,), and the lattice translation (E, 3) integers.

    In any order; for every pair its reverse is there, with the opposite translation.
    """

    atom: Index
    neighbour: Index
    image_E3: Index
    shift_E3: Array


@dataclass(frozen=True, slots=True, eq=False)
class Slots:
    """A rectangular table of neighbours, as `Graph` describes it; indices are of all atoms."""

    neighbour_AK: Index
    reverse_AK: Index
    shift_AK3: Array


def ragged_ranges(starts: Index, counts: Index) -> Index:
    """`concatenate([arange(s, s + c) …])` without a loop."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.asarray(np.arange(total) + np.repeat(starts - (ends - counts), counts))


def all_pairs(ptr: Index) -> tuple[Index, Index]:
    """Atom and neighbour of every ordered pair i ≠ j inside a frame, sorted by atom."""
    counts = np.diff(ptr)
    per_atom = np.repeat(counts, counts)
    neighbour = ragged_ranges(np.repeat(ptr[:-1], counts), per_atom)
    atom = np.repeat(np.arange(int(ptr[-1])), per_atom)
    keep = neighbour != atom
    return atom[keep], neighbour[keep]


def near_pairs(ptr: Index, positions: Array, cutoff: float) -> Pairs:
    """All pairs of atoms in one frame nearer than `cutoff`; `positions` (A, 3)."""
    blocks = [_near_pairs(part, positions, cutoff) for part in _blocks(ptr)]
    atom, neighbour = np.concatenate([np.empty((2, 0), dtype=np.int64), *blocks], axis=1)
    none = np.zeros((len(atom), 3))
    return Pairs(atom, neighbour, none.astype(np.int64), none)


def _blocks(ptr: Index) -> list[Index]:
    """Parts of `ptr` that hold about `AT_ONCE` pairs each, one frame at least."""
    block_F = np.cumsum(np.diff(ptr) ** 2) // AT_ONCE
    starts = np.flatnonzero(np.diff(block_F, prepend=-1))
    return [ptr[a : b + 1] for a, b in pairwise([*starts, len(block_F)])]


def _near_pairs(ptr: Index, positions: Array, cutoff: float) -> Index:
    """Atom and neighbour (2, E) in the frames of a block."""
    pair_2E = np.stack(all_pairs(ptr - ptr[0])) + ptr[0]
    gap = positions[pair_2E[1]] - positions[pair_2E[0]]
    return np.asarray(pair_2E[:, np.einsum("ij,ij->i", gap, gap) < cutoff**2])


def into_slots(pairs: Pairs, atoms: int, cutoff: float, *, at_least: int = 1) -> Slots:
    """Fill the table; it is as wide as the most neighbours of any atom, and `at_least`."""
    count_A = np.bincount(pairs.atom, minlength=atoms)
    width = max(at_least, int(count_A.max(initial=0)))
    own = np.arange(atoms * width, dtype=np.int64)
    neighbour, reverse = own // width, own.copy()
    shift = np.tile(np.array([2 * cutoff, 0.0, 0.0]), (atoms * width, 1))
    first = np.cumsum(count_A) - count_A
    order = _order(pairs.atom, pairs.neighbour, pairs.image_E3)
    slot = np.empty(len(order), dtype=np.int64)
    slot[order] = np.arange(len(order)) - first[pairs.atom[order]] + pairs.atom[order] * width
    neighbour[slot], shift[slot] = pairs.neighbour, pairs.shift_E3
    opposite = _order(pairs.neighbour, pairs.atom, -pairs.image_E3)
    reverse[slot[order]] = slot[opposite]
    table = (atoms, width)
    return Slots(neighbour.reshape(table), reverse.reshape(table), shift.reshape(*table, 3))


def _order(first: Index, second: Index, image_E3: Index) -> Index:
    """Sort by both ends and the translation: a pair and its reverse get the same place."""
    return np.lexsort((*image_E3.T, second, first))
