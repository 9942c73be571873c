"""Blocks of about 1000 frames, read one at a time from a frame store of any size.

A snapshot: one dataset version, without the frames that it withdraws and those of other purposes,
whatever is appended meanwhile. One byte a frame stays in memory, seventeen while opening.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import DTypeLike, NDArray

from forgefield.storage.datasets.flat_frames import FlatFrames, Reals
from forgefield.storage.datasets.methods import chosen_method, refuse_several
from forgefield.storage.errors import StorageError
from forgefield.storage.frame_store.checked_reading import damaged, plain_arrays
from forgefield.storage.frame_store.chunks import DamagedChunk
from forgefield.storage.frame_store.columns import Vocabularies
from forgefield.storage.frame_store.holdout import refuse_if_locked
from forgefield.storage.frame_store.reading import checked_about, open_group, standing_rows
from forgefield.storage.frames import TRAINING_PURPOSES
from forgefield.storage.ragged import Integers
from forgefield.storage.records import Method, Purpose


class StoredBlocks:
    """The blocks of one version of a store; `counts` (blocks,) frames that are kept of each."""

    def __init__(
        self,
        path: Path | str,
        purposes: Collection[Purpose] = TRAINING_PURPOSES,
        version: int | None = None,
        dtype: DTypeLike = np.float64,
        *,
        method: Method | str | None = None,
        several_methods: bool = False,
    ) -> None:
        """Frames by one `method`, or by `several_methods`.

        Raises `StorageError` where there is no store or too few frames, `HoldoutLocked`, and
        `InputError` where none is by that method, or some are by others and none was chosen.
        """
        if Purpose.HOLDOUT in purposes:
            refuse_if_locked(path)
        self._group = open_group(Path(path))
        about = checked_about(Path(path), self._group.attrs.asdict())
        self.uuid = str(about["uuid"])
        self.version = about["frames"] if version is None else version
        if not 0 <= self.version <= about["frames"]:
            raise StorageError(f"{path} has {about['frames']} frames, not {version}.")
        self._dtype = dtype
        self._plain = plain_arrays(self._group)
        self._rows = _array(self._group, "energy").chunks[0]
        self.methods = Vocabularies.read(about).methods
        self._kept = self._find_kept(purposes)
        self._choose(method, several_methods=several_methods)
        starts = np.arange(0, self.version, self._rows)
        self.counts: Integers = np.add.reduceat(self._kept, starts, dtype=np.int64)[: len(starts)]

    def block(self, number: int) -> FlatFrames:
        """The kept frames of one block; raises `StorageError` for damaged bytes."""
        first = number * self._rows
        last = min(first + self._rows, self.version)
        ptr = self._read("ptr", first, last + 1)
        atoms = int(ptr[0]), int(ptr[-1])
        block = FlatFrames(
            ptr=ptr - ptr[0],
            numbers=self._read("numbers", *atoms).astype(np.int64),
            positions_A3=self._read("positions", *atoms).astype(self._dtype, copy=False),
            forces_A3=self._read("forces", *atoms).astype(self._dtype, copy=False),
            energy_F=self._read("energy", first, last),
            seq_F=self._read("seq", first, last),
            charge_F=self._read("charge", first, last).astype(np.int64),
            multiplicity_F=self._read("multiplicity", first, last).astype(np.int64),
            method_F=self._read("method", first, last).astype(np.int64),
            methods=self.methods,
            cell_F33=self._boxes("cell", first, last),
            stress_F33=self._boxes("stress", first, last),
        )
        kept = self._kept[first:last]
        return block if kept.all() else block.batch(np.flatnonzero(kept))

    def _find_kept(self, purposes: Collection[Purpose]) -> NDArray[np.bool_]:
        purpose_F = self._read("purpose", 0, self.version)
        kept = np.isin(purpose_F, [int(purpose) for purpose in purposes])
        if "withdraws" in self._group:
            names = ("seq", "withdraws")
            rows = {name: self._read(name, 0, self.version) for name in names}
            kept &= standing_rows(rows, self.version)
        return kept

    def _choose(self, method: Method | str | None, *, several_methods: bool) -> None:
        """Keep the frames of one method, or see to it that all are of one."""
        method_F = self._read("method", 0, self.version)
        if method is not None:
            there = [self.methods[place] for place in np.unique(method_F[self._kept])]
            places = [self.methods.index(there[place]) for place in chosen_method(method, there)]
            self._kept &= np.isin(method_F, places)
        elif not several_methods:
            refuse_several(method_F[self._kept], self.methods, "Choose one with method=")

    def _boxes(self, name: str, first: int, last: int) -> Reals | None:
        if name not in self._group:
            return None
        return self._read(name, first, last).astype(self._dtype, copy=False)

    def _read(self, name: str, first: int, last: int) -> NDArray[Any]:
        plain = self._plain.get(name)
        if plain is None:
            return np.asarray(_array(self._group, name)[first:last])
        try:
            return plain.read(first, last)
        except DamagedChunk as error:
            raise damaged(plain, error.chunk, error.reason) from error


def _array(group: zarr.Group, name: str) -> zarr.Array[Any]:
    array = group[name]
    if not isinstance(array, zarr.Array):
        raise StorageError(f"{name!r} of {group.store} is no array. Restore it from a copy.")
    return array
