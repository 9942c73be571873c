"""Labels that are there already: the same geometry by the same method, in a file or in a store.

What "the same geometry" is, `label_book.matching` says: moved or turned as a whole. Two labels of
it must agree; where they don't, one of them is not what it says it is.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from forgefield.storage.label_book.matching import (
    REACH_A,
    Fingerprint,
    fingerprints,
    rotation_between,
    turned,
)
from forgefield.storage.records import Job, Label

SAME_ENERGY = 1e-6
"""eV"""
SAME_FORCE = 1e-5
"""eV/Å"""
ALIKE_A = 0.01
"""Frames whose distances differ by less, on average, are counted as near duplicates."""


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """A job with its label."""

    job: Job
    label: Label


@dataclass(frozen=True, slots=True)
class Repeat:
    """Place `again` holds what place `first` holds too, moved or turned; `conflict` in words."""

    first: int
    again: int
    conflict: str


@dataclass(frozen=True, slots=True)
class Repeats:
    """Repeats, one for each place that repeats an earlier one; `alike` places are merely near."""

    repeats: tuple[Repeat, ...]
    alike: frozenset[int]


def find_repeats(labels: Sequence[Labelled]) -> Repeats:
    """Which labels repeat an earlier one of the sequence."""
    prints = fingerprints([each.job for each in labels])
    systems = defaultdict(list)
    for place, each in enumerate(prints):
        systems[each.system].append(place)
    found: dict[int, Repeat] = {}
    alike: set[int] = set()
    for places in systems.values():
        tree = cKDTree(_features(prints, places))
        for i, j in sorted(tree.query_pairs(REACH_A, p=np.inf)):
            first, again = places[i], places[j]
            if again not in found and (repeat := _repeat(labels, first, again)):
                found[again] = repeat
        if len(places) > 1:
            far = np.asarray(tree.query(_features(prints, places), k=2, p=np.inf)[0])
            near = far[:, 1] <= ALIKE_A
            alike |= {places[place] for place in np.flatnonzero(near).tolist()}
    return Repeats(tuple(found[place] for place in sorted(found)), frozenset(alike))


def _features(prints: Sequence[Fingerprint], places: Sequence[int]) -> np.ndarray:
    return np.array([prints[place].features_K for place in places])


def _repeat(labels: Sequence[Labelled], first: int, again: int) -> Repeat | None:
    one, other = labels[first], labels[again]
    rotation = rotation_between(one.job.configuration, other.job.configuration)
    if rotation is None:
        return None
    return Repeat(first, again, _conflict(turned(one.label, rotation), other.label))


def _conflict(one: Label, other: Label) -> str:
    """In which number two labels of one geometry differ, in words, or nothing."""
    if not abs(one.energy - other.energy) <= SAME_ENERGY:
        return f"energies of {one.energy:.6f} and {other.energy:.6f} eV"
    if one.forces_A3 is None or other.forces_A3 is None:
        return ""
    farthest = float(np.abs(one.forces_A3 - other.forces_A3).max(initial=0.0))
    return f"forces that differ by {farthest:.6f} eV/Å" if farthest > SAME_FORCE else ""
