"""Frames of two methods at the same geometries, moved and turned as a whole or not.

Geometry hashes find most; the rest by distances that turning doesn't change, then by superposing.
Frames in a periodic box are found by their hash alone.

Legend: `F` frames, `N` frames of one species, `A` atoms, `P` pairs found. Lengths in Å.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from forgefield.storage.frames import Frames
from forgefield.storage.geometry import SAME_GEOMETRY_A, distance_features, superpose
from forgefield.storage.records import Array

Index = NDArray[np.int64]
Kind = tuple[bytes, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Frame `known_P` of one set has the geometry of frame `asked_P` of the other.

    Rows `x @ rotation_P33` turn the known frame, and its forces, into the asked one. Ordered by
    `asked_P`; of several known frames the first one counts.
    """

    known_P: Index
    asked_P: Index
    rotation_P33: Array


def match(known: Frames, asked: Frames, tolerance: float = SAME_GEOMETRY_A) -> Matches:
    """Which frames of `asked` have the geometry of one of `known`, no atom off by `tolerance`."""
    found = _by_hash(known, asked)
    open_F = np.array([frame for frame in range(len(asked)) if frame not in found], dtype=np.int64)
    by_kind, known_by_kind = _kinds(asked, open_F), _kinds(known, np.arange(len(known)))
    for kind, frames in by_kind.items():
        if kind in known_by_kind:
            found |= _by_shape(known, known_by_kind[kind], asked, frames, tolerance)
    places = sorted(found)
    return Matches(
        np.array([found[place][0] for place in places], dtype=np.int64),
        np.array(places, dtype=np.int64),
        np.array([found[place][1] for place in places]).reshape(-1, 3, 3),
    )


def matched_labels(known: Frames, pairs: Matches) -> tuple[Array, Array]:
    """Energies and forces of the known frames, turned into the asked ones: (P,), (A of them, 3)."""
    forces = [
        known.forces_A3[known.atoms_of(frame)] @ rotation
        for frame, rotation in zip(pairs.known_P.tolist(), pairs.rotation_P33, strict=True)
    ]
    return known.energy_F[pairs.known_P], np.concatenate([np.empty((0, 3)), *forces])


def _by_hash(known: Frames, asked: Frames) -> dict[int, tuple[int, Array]]:
    first: dict[bytes, int] = {}
    for frame, key in enumerate(known.geometry_F):
        first.setdefault(key.tobytes(), frame)
    keys = [key.tobytes() for key in asked.geometry_F]
    return {frame: (first[key], np.eye(3)) for frame, key in enumerate(keys) if key in first}


def _kinds(frames: Frames, which: Index) -> dict[Kind, Index]:
    """Frames in free space by their species in order, charge and multiplicity."""
    kinds: dict[Kind, list[int]] = defaultdict(list)
    for frame in which.tolist():
        if np.isnan(frames.cell_F33[frame]).all():
            species = frames.numbers[frames.atoms_of(frame)].tobytes()
            state = int(frames.charge_F[frame]), int(frames.multiplicity_F[frame])
            kinds[species, *state].append(frame)
    return {kind: np.array(members, dtype=np.int64) for kind, members in kinds.items()}


def _by_shape(
    known: Frames, known_N: Index, asked: Frames, asked_N: Index, tolerance: float
) -> dict[int, tuple[int, Array]]:
    shapes, wanted = _positions(known, known_N), _positions(asked, asked_N)
    if shapes.shape[1] == 1:
        return {int(frame): (int(known_N[0]), np.eye(3)) for frame in asked_N}
    tree = cKDTree(distance_features(shapes))
    near: Any = tree.query_ball_point(distance_features(wanted), 2 * tolerance + 1e-9, p=np.inf)
    found: dict[int, tuple[int, Array]] = {}
    for place, candidates in enumerate(near):
        for candidate in sorted(candidates):
            rotation, farthest = superpose(shapes[candidate], wanted[place])
            if farthest <= tolerance:
                found[int(asked_N[place])] = int(known_N[candidate]), rotation
                break
    return found


def _positions(frames: Frames, which: Index) -> Array:
    return np.array([frames.positions_A3[frames.atoms_of(frame)] for frame in which.tolist()])
