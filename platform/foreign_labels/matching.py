"""Which frames of one file, or of two, have one geometry.

Two frames are the same where no interatomic distance differs by more than `SAME_A`, distances
sorted within each pair of elements: turned, mirrored and renumbered copies count. Published files
round to 1e-4 Å at the coarsest, which changes a distance by less than 2e-4 Å; the nearest two of
the distinct frames of ethanol's molecular dynamics differ by 0.018 Å.

Legend: `N` frames of one file, `M` of another, `A` atoms, `P` pairs of atoms. Units: Å.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from forgefield.platform.foreign_labels.files import LabelledFile
from forgefield.storage.elements import formula
from forgefield.storage.errors import InputError
from forgefield.storage.geometry import close_pairs, pair_distances, sorted_distances
from forgefield.storage.likeness import SAME_A
from forgefield.storage.records import Array
from forgefield.trainers.baselines.same_geometries import match, matched_labels

TURNED_A = 1e-3
"""No atom further off after superposition, for labels of two methods to be of one geometry."""
AT_ONCE = 4096
"""Frames whose distances are compared at once, which bounds memory."""
LOOKED_AT = 300
"""Pairs whose forces are compared for their sign."""
_COLUMNS = 6
Pairs = NDArray[np.int64]


def repeats_in(file: LabelledFile) -> Pairs:
    """Pairs (i < j) of frames of one file with one geometry, (pairs, 2)."""
    features = np.concatenate([part for _, part in _features(file)])
    return np.asarray(close_pairs(features, SAME_A), dtype=np.int64)


def shared_by(one: LabelledFile, other: LabelledFile) -> Pairs:
    """Pairs (frame of `one`, frame of `other`) with one geometry; `InputError` for two molecules.

    `other` may be long: it is compared in parts.
    """
    _refuse_another_molecule(one, other)
    features_NP = np.concatenate([part for _, part in _features(one)])
    widest = np.argsort(features_NP.std(axis=0))[::-1][:_COLUMNS]
    tree = cKDTree(features_NP[:, widest])
    found = [np.empty((0, 2), dtype=np.int64)]
    for start, part_MP in _features(other):
        near = tree.query_ball_point(part_MP[:, widest], SAME_A, p=np.inf)
        for place, candidates in enumerate(near):
            gaps = np.abs(features_NP[candidates] - part_MP[place]).max(axis=1, initial=0.0)
            same = np.asarray(candidates, dtype=np.int64)[gaps <= SAME_A]
            found.append(np.stack([same, np.full_like(same, start + place)], axis=1))
    pairs = np.concatenate(found)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


@dataclass(frozen=True, slots=True, eq=False)
class Paired:
    """Labels by the other method on frames of a file, where there are: NaN elsewhere.

    `energy_N` (N,) and `forces_NA3` (N, A, 3), turned into the frame's own orientation. `source`
    is the hash of what they came from: the other file, its unit, the pairs.
    """

    energy_N: Array
    forces_NA3: Array
    source: str

    @property
    def there_N(self) -> NDArray[np.bool_]:  # noqa: N802
        """Which frames have one."""
        return np.isfinite(self.energy_N)


def paired_labels(file: LabelledFile, other: LabelledFile, pairs: Pairs) -> Paired:
    """Labels of `other` on the frames of `file`; mirror images and renumbered ones are no pair."""
    energy_N = np.full(len(file), np.nan)
    forces_NA3 = np.full_like(file.forces_NA3, np.nan)
    ours, theirs = np.unique(pairs[:, 0]), np.unique(pairs[:, 1])
    if len(pairs):
        known = other.frames(theirs.tolist())
        found = match(known, file.frames(ours.tolist()), TURNED_A)
        energies, forces = matched_labels(known, found)
        energy_N[ours[found.asked_P]] = energies
        forces_NA3[ours[found.asked_P]] = forces.reshape(-1, *forces_NA3.shape[1:])
    digest = hashlib.blake2b(f"{other.sha256} {other.unit}|".encode(), digest_size=8)
    digest.update(np.ascontiguousarray(pairs, dtype="<i8").tobytes())
    return Paired(energy_N, forces_NA3, digest.hexdigest())


def refuse_opposed_forces(one: LabelledFile, other: LabelledFile, pairs: Pairs) -> None:
    """Raise `InputError` where forces of two files on one geometry point against each other."""
    paired = paired_labels(one, other, pairs[:LOOKED_AT])
    there_N = paired.there_N
    ours_M, theirs_M = one.forces_NA3[there_N].ravel(), paired.forces_NA3[there_N].ravel()
    if float(ours_M @ theirs_M) >= 0:
        return
    correlation = float(np.corrcoef(ours_M, theirs_M)[0, 1])
    raise InputError(
        f"The forces of {one.path} and {other.path} point against each other on {there_N.sum()} "
        f"geometries that both have (correlation {correlation:.2f}): one of them seems to hold "
        "gradients. Change their sign, or say --trust."
    )


def _features(file: LabelledFile) -> Iterator[tuple[int, Array]]:
    """(first frame, sorted distances (frames, P)) of one part of a file after another."""
    for start in range(0, len(file), AT_ONCE):
        distances = pair_distances(file.positions_NA3[start : start + AT_ONCE])
        yield start, sorted_distances(file.numbers, distances)


def _refuse_another_molecule(one: LabelledFile, other: LabelledFile) -> None:
    if sorted(one.numbers) != sorted(other.numbers):
        raise InputError(
            f"{one.path} holds {formula(one.numbers)}, {other.path} {formula(other.numbers)}. Give "
            "files of the same molecule."
        )
