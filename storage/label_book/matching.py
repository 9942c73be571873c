"""Which labels answer a job: the same method on the same geometry, moved or turned as a whole.

Same means: species in the same order, charge, multiplicity, and after superposition by a proper
rotation no atom (and no lattice vector) further off than `SAME_GEOMETRY_A`. Mirror images,
permuted atoms, and other choices of a periodic box's lattice vectors or images are not the same.

Geometries are first looked up by distance features, which turning doesn't change: the first one
cut into buckets is what the database searches, the others are compared here.

Legend of shapes: `A` atoms, `N` jobs, `K` features.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from forgefield.storage.geometry import (
    MOST_PAIRS,
    SAME_GEOMETRY_A,
    distance_features,
    superpose,
)
from forgefield.storage.pieces import parts
from forgefield.storage.records import Array, Configuration, Job, Label

REACH_A = 2 * SAME_GEOMETRY_A + 1e-9
"""How much a pair distance, and so a feature, of two same geometries may differ."""
BUCKET_A = 5e-6
PAIRS_AT_ONCE = 2**20
"""Pair distances in memory at once, which takes about 60 bytes each."""


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprint:
    """What a geometry is looked up by: a hash of all but the positions, and features (K,) Å."""

    system: str
    features_K: Array

    @property
    def bucket(self) -> int:
        """The bucket this geometry lies in."""
        return _bucket(self.features_K[0])

    @property
    def buckets(self) -> range:
        """The buckets in which a same geometry can lie."""
        first = self.features_K[0]
        return range(_bucket(first - REACH_A), _bucket(first + REACH_A) + 1)

    def is_near(self, other: "Fingerprint") -> bool:
        """Whether the two may be the same geometry."""
        difference_K = np.abs(self.features_K - other.features_K)
        return self.system == other.system and bool((difference_K <= REACH_A).all())


def fingerprints(jobs: Sequence[Job]) -> list[Fingerprint]:
    """Fingerprints in the order of `jobs`."""
    systems = [_system(job) for job in jobs]
    places = defaultdict(list)
    for place, system in enumerate(systems):
        places[system].append(place)
    found: list[Fingerprint | None] = [None] * len(jobs)
    for system, all_alike in places.items():
        atoms = len(jobs[all_alike[0]].configuration.numbers)
        for alike in parts(all_alike, _jobs_at_once(atoms)):
            shapes_NA3 = np.array([jobs[place].configuration.positions_A3 for place in alike])
            for place, features_K in zip(alike, _features(shapes_NA3), strict=True):
                found[place] = Fingerprint(system, features_K)
    return [each for each in found if each is not None]


def rotation_between(known: Configuration, asked: Configuration) -> Array | None:
    """The rotation (3, 3) that turns the known geometry into the asked one, if they are the same.

    Rows transform by `x @ rotation`. Where the numbers are equal it is exactly the identity.
    """
    moving, onto = _points(known), _points(asked)
    if np.array_equal(moving, onto):
        return np.eye(3)
    rotation, farthest = superpose(moving, onto)
    return rotation if farthest <= SAME_GEOMETRY_A else None


def turned(label: Label, rotation: Array) -> Label:
    """The label of the turned geometry: forces and stress in its frame, all else as it was."""
    forces, stress = label.forces_A3, label.stress_33
    return replace(
        label,
        forces_A3=None if forces is None else forces @ rotation,
        stress_33=None if stress is None else rotation.T @ stress @ rotation,
    )


def _points(shape: Configuration) -> Array:
    """Atoms around their centre; lattice vectors both ways, so that the centre stays."""
    centred: Array = shape.positions_A3 - shape.positions_A3.mean(axis=0)
    if shape.cell_33 is None:
        return centred
    return np.concatenate([centred, shape.cell_33, -shape.cell_33])


def _features(shapes_NA3: Array) -> Array:
    if shapes_NA3.shape[1] == 1:
        return np.zeros((len(shapes_NA3), 1))
    return distance_features(shapes_NA3)


def _jobs_at_once(atoms: int) -> int:
    pairs = min(MOST_PAIRS, atoms * (atoms - 1) // 2)
    return PAIRS_AT_ONCE // max(1, pairs, atoms)


def _system(job: Job) -> str:
    shape = job.configuration
    species = tuple(map(int, shape.numbers)), int(shape.charge), int(shape.multiplicity)
    text = repr((job.method.name, *species, shape.cell_33 is not None))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _bucket(feature: float) -> int:
    return math.floor(feature / BUCKET_A)
