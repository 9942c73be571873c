"""The columns of `frames.zarr` for one selection of frames, as other containers hold them.

Their names, units and axes are those of `storage.frame_store.columns`. Words that no frame uses
are left out of the vocabularies.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forgefield.storage.frame_store.columns import (
    ADDED,
    Column,
    Columns,
    Vocabularies,
    about_store,
    added_column,
    column_of,
    from_columns,
    to_columns,
)
from forgefield.storage.frames import Frames
from forgefield.storage.ragged import Integers, Item, index_into


def columns_of(frames: Frames) -> tuple[Columns, dict[str, Column], dict[str, Any]]:
    """Values by name, what each column is, and the attributes that say what integers mean."""
    tidy = trimmed(frames)
    pointers = {
        "method": tidy.method_F,
        "molecule": tidy.molecule_F,
        "program": tidy.provenance.program_F,
        "host": tidy.provenance.host_F,
    }
    values = to_columns(tidy, pointers, 0) | {"ptr": tidy.ptr}
    kinds = {name: column_of(name) for name in values}
    added: dict[str, str] = {}
    for axis, columns in (("frame", tidy.added_F), ("atom", tidy.added_A)):
        for name, column in columns.items():
            values[ADDED + name] = column
            kinds[ADDED + name] = added_column(name, column, axis, "")
            added[name] = axis
    origin = tidy.provenance
    words = Vocabularies(tidy.methods, tidy.molecules, origin.programs, origin.hosts, added)
    typed = {name: each.astype(kinds[name].dtype) for name, each in values.items()}
    about = about_store(str(uuid.uuid4()), words, len(tidy), len(tidy.numbers))
    return typed, kinds, about


def frames_of(columns: Mapping[str, NDArray[Any]], about: Mapping[str, Any]) -> Frames:
    """The frames that `columns_of` took apart."""
    return from_columns(columns, Vocabularies.read(about))


def trimmed(frames: Frames) -> Frames:
    """The same frames with only the words that they use."""
    methods, method_F = _used(frames.methods, frames.method_F)
    molecules, molecule_F = _used(frames.molecules, frames.molecule_F)
    origin = frames.provenance
    programs, program_F = _used(origin.programs, origin.program_F)
    hosts, host_F = _used(origin.hosts, origin.host_F)
    return replace(
        frames,
        methods=methods,
        method_F=method_F,
        molecules=molecules,
        molecule_F=molecule_F,
        provenance=replace(
            origin, programs=programs, program_F=program_F, hosts=hosts, host_F=host_F
        ),
    )


def _used(words: Sequence[Item], pointer: Integers) -> tuple[tuple[Item, ...], Integers]:
    places, used = np.unique(pointer, return_inverse=True)
    kept, new = index_into((), [words[place] for place in places.tolist()])
    return kept, new[used]
