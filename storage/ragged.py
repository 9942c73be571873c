"""Ragged arrays and vocabularies: offsets of frames, integers that point into tables of words."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
NamedColumns = Mapping[str, NDArray[Any]]
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


def absent(values: NDArray[Any], rows: int) -> NDArray[Any]:
    """`rows` rows like those of `values` that hold nothing: NaN, or -1 among integers."""
    fill = np.nan if values.dtype.kind == "f" else -1
    return np.full((rows, *values.shape[1:]), fill, dtype=values.dtype)


def merge_columns(
    parts: Sequence[tuple[int, Mapping[str, NDArray[Any]]]],
) -> dict[str, NDArray[Any]]:
    """Columns of several parts, each with its number of rows, one after another by name."""
    known = {name: values for _, columns in parts for name, values in columns.items()}
    return {
        name: np.concatenate(
            [columns[name] if name in columns else absent(like, rows) for rows, columns in parts]
        )
        for name, like in known.items()
    }
