"""Which frames are alike: no interatomic distance differs by more than a threshold.

Distances are sorted within each pair of elements, so that neither the order of the atoms nor a
mirror image makes frames differ; in a periodic box they are those of the nearest images, and the
lengths of the reduced lattice vectors and the cube root of the volume count too. Where all
distances would fill the memory, the shortest and longest of each pair of elements and their mean
stand for all: then frames that aren't alike may pass for it, but never the other way round.

Legend: `N` frames, `A` atoms, `P` pairs of atoms, `K` columns. Lengths in Å.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations_with_replacement, product

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from forgefield.storage.frames import Frames
from forgefield.storage.ragged import Integers
from forgefield.storage.records import Array

SAME_A = 1e-3
"""Å by which no interatomic distance of one geometry differs, written with fewer digits or not."""
MOST_PAIRS = 150 * 149 // 2
"""Pairs of atoms of a frame, above which the extremes stand for all distances."""
MOST_DISTANCES = 2**26
"""Distances of all frames of one kind in memory (512 MiB), above which the same holds."""
EXTREMES = 512
"""Columns of shortest and longest distances, shared by the pairs of elements."""
AT_ONCE = 2**20
"""Distances computed or compared at once."""
_COARSE_COLUMNS = 6


def kinds_of(frames: Frames) -> list[Integers]:
    """Frames of the same species in any order, charge, spin and periodic directions."""
    kinds: dict[tuple[bytes, int, int, bytes], list[int]] = {}
    periodic_F3 = (np.nan_to_num(frames.cell_F33) != 0).any(axis=2)
    for frame in range(len(frames)):
        species = np.sort(frames.numbers[frames.atoms_of(frame)]).tobytes()
        state = int(frames.charge_F[frame]), int(frames.multiplicity_F[frame])
        count = int(periodic_F3[frame].sum())
        kinds.setdefault((species, *state, bytes([count])), []).append(frame)
    return [np.array(members, dtype=np.int64) for members in kinds.values()]


def alike_pairs(frames: Frames, members: Integers, threshold: float) -> Integers:
    """Pairs of alike frames among `members`, which are of one kind, (pairs, 2)."""
    features_NK = likeness_features(frames, members)
    if features_NK.shape[1] == 0:
        return np.stack([members[:-1], members[1:]], axis=1)
    widest_K = np.argsort(features_NK.std(axis=0))[::-1][:_COARSE_COLUMNS]
    tree = cKDTree(features_NK[:, widest_K])
    candidates = tree.query_pairs(threshold, p=np.inf, output_type="ndarray")
    parts = max(1, -(-candidates.size * features_NK.shape[1] // AT_ONCE))
    close = [
        chunk[np.abs(features_NK[chunk[:, 0]] - features_NK[chunk[:, 1]]).max(axis=1) <= threshold]
        for chunk in np.array_split(candidates, parts)
        if len(chunk)
    ]
    found: Integers = members[np.concatenate([np.empty((0, 2), dtype=np.intp), *close])]
    return found


def seen_before(frames: Frames, known: Frames, threshold: float) -> NDArray[np.bool_]:
    """Which of `frames` are like any that is known, (F,); charges and spins may be unsaid."""
    first = len(frames)
    both = Frames.concatenate([frames, known])
    nothing = np.zeros(len(both), dtype=np.int64)
    both = replace(both, charge_F=nothing, multiplicity_F=nothing)
    seen_F = np.zeros(first, dtype=bool)
    for members in kinds_of(both):
        pairs = np.sort(alike_pairs(both, members, threshold), axis=1)
        seen_F[pairs[(pairs[:, 0] < first) & (pairs[:, 1] >= first), 0]] = True
    return seen_F


def likeness_features(frames: Frames, members: Integers) -> Array:
    """Features (N, K) of frames of one kind, of which none differs by more than any distance."""
    atoms = len(frames.numbers[frames.atoms_of(int(members[0]))])
    pairs = atoms * (atoms - 1) // 2
    bounded = pairs > MOST_PAIRS or pairs * len(members) > MOST_DISTANCES
    return np.stack([_features(frames, int(frame), bounded=bounded) for frame in members])


def _features(frames: Frames, frame: int, *, bounded: bool) -> Array:
    atoms = frames.atoms_of(frame)
    order_A = np.argsort(frames.numbers[atoms], kind="stable")
    numbers_A, positions_A3 = frames.numbers[atoms][order_A], frames.positions_A3[atoms][order_A]
    box = _Box(np.nan_to_num(frames.cell_F33[frame]))
    groups = np.split(positions_A3, np.flatnonzero(np.diff(numbers_A)) + 1)
    kinds = list(combinations_with_replacement(range(len(groups)), 2))
    most = max(1, EXTREMES // (2 * len(kinds)))
    columns = [box.sizes_K]
    for one, other in kinds:
        steps = _steps(groups[one], None if one == other else groups[other])
        distances = (box.distances(steps_P3) for steps_P3 in steps)
        columns.append(_extremes(distances, most) if bounded else _sorted(distances))
    return np.concatenate(columns)


def _steps(one_A3: Array, other_A3: Array | None) -> Iterator[Array]:
    """Differences of all pairs within `one`, or between it and `other`, some at once (P, 3)."""
    count = len(one_A3) if other_A3 is None else len(other_A3)
    rows = max(1, AT_ONCE // max(1, count))
    for first in range(0, len(one_A3), rows):
        part = one_A3[first : first + rows]
        if other_A3 is not None:
            yield (part[:, None] - other_A3[None]).reshape(-1, 3)
        else:
            later = np.arange(count)[None] > first + np.arange(len(part))[:, None]
            yield (part[:, None] - one_A3[None])[later]


def _sorted(distances: Iterator[Array]) -> Array:
    return np.sort(np.concatenate([np.empty(0), *distances]))


def _extremes(distances: Iterator[Array], most: int) -> Array:
    """The `most` shortest and longest, and the mean: none changes more than any distance does."""
    shortest, longest, total, count = np.empty(0), np.empty(0), 0.0, 0
    for part in distances:
        shortest = np.sort(np.concatenate([shortest, part]))[:most]
        longest = np.sort(np.concatenate([longest, part]))[-most:]
        total, count = total + float(part.sum()), count + len(part)
    return np.concatenate([shortest, longest, [total / count] if count else []])


class _Box:
    """The lattice of a frame, zero vectors where it isn't periodic."""

    def __init__(self, cell_33: Array) -> None:
        periodic: NDArray[np.bool_] = np.asarray(cell_33.any(axis=1))
        self._periodic = bool(periodic.any())
        self.sizes_K: Array = np.empty(0)
        if not self._periodic:
            return
        vectors_D3 = _reduced(cell_33[periodic])
        dimensions = len(vectors_D3)
        across = np.linalg.svd(vectors_D3)[2][dimensions:]
        self._whole_33: Array = np.concatenate([vectors_D3, across])
        volume = abs(float(np.linalg.det(self._whole_33)))
        lengths = np.linalg.norm(vectors_D3, axis=1)
        self.sizes_K = np.append(lengths, volume ** (1 / dimensions))
        self._along: Array = (np.arange(3) < dimensions).astype(np.float64)
        faces_33 = np.cross(self._whole_33[[1, 2, 0]], self._whole_33[[2, 0, 1]])
        heights = volume / np.asarray(np.linalg.norm(faces_33, axis=1))
        self._safe = float(heights[:dimensions].min()) / 2
        turns = [(-1, 0, 1) if place < dimensions else (0,) for place in range(3)]
        self._images = np.array([turn for turn in product(*turns) if any(turn)]) @ self._whole_33

    def distances(self, steps_P3: Array) -> Array:
        """Lengths (P,) of differences of positions, those of the nearest images in a box."""
        if not self._periodic:
            return np.asarray(np.linalg.norm(steps_P3, axis=1))
        places = steps_P3 @ np.linalg.inv(self._whole_33)
        steps = (places - np.round(places) * self._along) @ self._whole_33
        nearest = np.asarray(np.linalg.norm(steps, axis=1))
        far = np.flatnonzero(nearest > self._safe)
        least, there = nearest[far], steps[far]
        for image_3 in self._images:
            np.minimum(least, np.linalg.norm(there + image_3, axis=1), out=least)
        nearest[far] = least
        return np.asarray(nearest)


def _reduced(vectors_D3: Array) -> Array:
    """The shortest vectors of a lattice, shortest first (Minkowski's reduction).

    P. Q. Nguyen and D. Stehlé, ACM Trans. Algorithms 5, 46 (2009): the longest is made shorter by
    the others until it can't be.
    """
    vectors_D3 = vectors_D3[np.argsort(np.linalg.norm(vectors_D3, axis=1))]
    while len(vectors_D3) > 1:
        others, last = _reduced(vectors_D3[:-1]), vectors_D3[-1]
        nearest = np.round(np.linalg.lstsq(others.T, last)[0])
        turns = np.array(list(product((-1, 0, 1), repeat=len(others))))
        candidates = last - (nearest + turns) @ others
        lengths = np.linalg.norm(candidates, axis=1)
        if lengths.min() > np.linalg.norm(last) * (1 - 1e-10):
            return np.concatenate([others, last[None]])
        vectors_D3 = np.concatenate([others, candidates[[lengths.argmin()]]])
        vectors_D3 = vectors_D3[np.argsort(np.linalg.norm(vectors_D3, axis=1))]
    return vectors_D3
