"""Ragged arrays and vocabularies: offsets of frames, integers that point into tables of words."""

from collections.abc import Hashable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Item = TypeVar("Item", bound=Hashable)


def offsets(sizes: Integers) -> Integers:
    """`ptr` (F + 1,) of frames with `sizes` (F,) atoms."""
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes, dtype=np.int64)])


def index_into(
    vocabulary: Sequence[Item], items: Sequence[Item]
) -> tuple[tuple[Item, ...], Integers]:
    """`vocabulary` with new items added at its end, and where each item lies in it."""
    places = {item: place for place, item in enumerate(vocabulary)}
    found = [places.setdefault(item, len(places)) for item in items]
    return tuple(places), np.array(found, dtype=np.int64)


def merge(parts: Sequence[tuple[tuple[Item, ...], Integers]]) -> tuple[tuple[Item, ...], Integers]:
    """One vocabulary for several, and their pointers into it, one after another."""
    merged: tuple[Item, ...] = ()
    pointers = []
    for vocabulary, pointer in parts:
        merged, places = index_into(merged, vocabulary)
        pointers.append(places[pointer])
    return merged, np.concatenate(pointers)
