"""The files of a frame store, and the one step by which they change.

Rows are written behind the committed ones, made durable, and only then does a new root `zarr.json`
name them. Whatever lies behind the committed length after a crash is cut off on opening.
"""

import json
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.core.array import AsyncArray
from zarr.core.buffer import default_buffer_prototype
from zarr.core.group import ConsolidatedMetadata, GroupMetadata
from zarr.core.metadata.v3 import ArrayV3Metadata
from zarr.storage import StorePath

from forgefield.storage.errors import StorageError
from forgefield.storage.frame_store.columns import (
    COLUMNS,
    Column,
    Columns,
    Vocabularies,
    about_store,
    names_in_order,
    new_array,
)
from forgefield.storage.frame_store.durable_store import PARTIAL_SUFFIX, DurableStore
from forgefield.storage.frame_store.reading import checked_about

ROOT = "zarr.json"
Arrays = dict[str, ArrayV3Metadata]


class StoreFiles:
    """What is committed: the root's attributes `about`, and the arrays' metadata."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.about: dict[str, Any] = {}
        self.arrays: Arrays = {}
        self._store = DurableStore(path)

    def open(self) -> None:
        """Read what is committed and cut off the rest, or make an empty store."""
        if not (self.path / ROOT).exists():
            self._create()
            return
        root = GroupMetadata.from_dict(json.loads((self.path / ROOT).read_bytes()))
        about = checked_about(self.path, root.attributes)
        listed = root.consolidated_metadata.metadata if root.consolidated_metadata else {}
        arrays = {n: each for n, each in listed.items() if isinstance(each, ArrayV3Metadata)}
        _remove_uncommitted(self.path, arrays)
        self._commit(arrays, about)

    def append(self, columns: Columns, words: Vocabularies, kinds: Mapping[str, Column]) -> None:
        """Add rows to every array, and commit; arrays new to the store are filled up to here."""
        atoms, frames = self.about["atoms"], self.about["frames"]
        counts = {"frame": len(columns["energy"]), "atom": len(columns["numbers"])}
        arrays = dict(self.arrays)
        for name in columns.keys() - arrays.keys():
            before = atoms if kinds[name].axis == "atom" else frames
            arrays[name] = new_array(kinds[name], before)
        for name, metadata in arrays.items():
            values = columns.get(name)
            if values is None:
                names = metadata.dimension_names
                new = counts["atom" if names and names[0] == "atom" else "frame"]
                values = np.full((new, *metadata.shape[1:]), metadata.fill_value)
            arrays[name] = self._write(name, metadata, values, metadata.shape[0])
        self._store.flush()
        end = int(columns["ptr"][-1]) if len(columns["ptr"]) else atoms
        self._commit(arrays, about_store(self.about["uuid"], words, frames + counts["frame"], end))

    def fill(self, column: Column, values: NDArray[Any], words: Vocabularies) -> None:
        """Write a whole column beside the committed ones, and commit."""
        metadata = self.arrays.get(column.name) or new_array(column, len(values))
        arrays = self.arrays | {column.name: self._write(column.name, metadata, values, 0)}
        self._store.flush()
        about = about_store(self.about["uuid"], words, self.about["frames"], self.about["atoms"])
        self._commit(arrays, about)

    def discard(self) -> None:
        """Forget what was written and not committed."""
        self._store.discard()

    def _write(
        self, name: str, metadata: ArrayV3Metadata, values: NDArray[Any], first: int
    ) -> ArrayV3Metadata:
        longer = metadata.update_shape((first + len(values), *metadata.shape[1:]))
        place = StorePath(self._store, name)
        array: zarr.Array[Any] = zarr.Array(AsyncArray(metadata=longer, store_path=place))
        array[first:] = values.astype(metadata.data_type.to_native_dtype())
        return longer

    def _commit(self, arrays: Mapping[str, ArrayV3Metadata], about: Mapping[str, Any]) -> None:
        prototype = default_buffer_prototype()
        ordered = {name: arrays[name] for name in names_in_order(list(arrays))}
        for name, metadata in ordered.items():
            self._store.set_sync(f"{name}/{ROOT}", metadata.to_buffer_dict(prototype)[ROOT])
        self._store.flush()
        root = GroupMetadata(
            attributes={"forgefield": dict(about)},
            zarr_format=3,
            consolidated_metadata=ConsolidatedMetadata(metadata=dict(ordered)),
        )
        self._store.set_sync(ROOT, root.to_buffer_dict(prototype)[ROOT])
        self._store.flush()
        self.arrays, self.about = dict(ordered), dict(about)

    def _create(self) -> None:
        known = {column.name for column in COLUMNS}
        found = [entry.name for entry in self.path.iterdir()] if self.path.exists() else []
        strangers = [n for n in found if n not in known and not n.endswith(PARTIAL_SUFFIX)]
        if strangers:
            raise StorageError(
                f"{self.path} holds {strangers[0]!r} and is no frame store. Choose another path."
            )
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir()
        arrays = {column.name: new_array(column, 0) for column in COLUMNS}
        arrays["ptr"] = self._write("ptr", arrays["ptr"], np.zeros(1), 0)
        self._store.flush()
        self._commit(arrays, about_store(uuid.uuid4().hex, Vocabularies(), 0, 0))


def _remove_uncommitted(path: Path, arrays: Mapping[str, ArrayV3Metadata]) -> None:
    for partial in path.rglob(f"*{PARTIAL_SUFFIX}"):
        partial.unlink(missing_ok=True)
    for folder in path.iterdir():
        if folder.is_dir() and folder.name not in arrays:
            shutil.rmtree(folder)
    for name, metadata in arrays.items():
        rows = metadata.chunk_grid.chunk_shape[0]  # type: ignore[attr-defined]
        chunks = -(-metadata.shape[0] // rows)
        for chunk in (path / name / "c").glob("*"):
            if int(chunk.name) >= chunks:
                shutil.rmtree(chunk) if chunk.is_dir() else chunk.unlink()
