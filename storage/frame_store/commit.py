"""The files of a frame store, and the one step by which they change.

Rows are written behind the committed ones, made durable, and only then does a new root `zarr.json`
name them. Whatever lies behind the committed length after a crash is cut off on opening. Every
chunk is stored, also one of nothing but fill values, so that a missing one is damage.
"""

import json
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from zarr.core.buffer import default_buffer_prototype
from zarr.core.group import GroupMetadata
from zarr.core.metadata.v3 import ArrayV3Metadata

from forgefield.storage.errors import StorageError
from forgefield.storage.frame_store.array_layout import chunk_rows, is_sharded
from forgefield.storage.frame_store.chunks import ChunkedArray, DamagedChunk
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
from forgefield.storage.frame_store.root_document import ROOT, WHOLE, checked_root, root_content

Arrays = dict[str, ArrayV3Metadata]


class StoreFiles:
    """What is committed: the root's attributes `about`, and the arrays' metadata."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.about: dict[str, Any] = {}
        self.arrays: Arrays = {}
        self._store = DurableStore(path)
        self._documents: dict[str, dict[str, Any]] = {}
        self._is_in_step = False

    def catch_up(self) -> None:
        """After a write that failed, read again what is committed, and make it durable.

        A write may fail behind the rename that commits it: then the disk is ahead of this object.
        """
        if not self._is_in_step:
            self._store.discard()
            self.open()

    def open(self) -> None:
        """Read what is committed and cut off the rest, or make an empty store."""
        if not (self.path / ROOT).exists():
            self._create()
            return
        root = GroupMetadata.from_dict(checked_root(self.path))
        about = checked_about(self.path, root.attributes)
        listed = root.consolidated_metadata.metadata if root.consolidated_metadata else {}
        arrays = {n: each for n, each in listed.items() if isinstance(each, ArrayV3Metadata)}
        if any(map(is_sharded, arrays.values())):
            raise StorageError(
                f"{self.path} is a release, which stays as it is. Import it into a run instead."
            )
        _remove_uncommitted(self.path, arrays)
        if not about.get(WHOLE):
            self._store_every_chunk(arrays)
        self._commit(arrays, about)

    def append(self, columns: Columns, words: Vocabularies, kinds: Mapping[str, Column]) -> None:
        """Add rows to every array, and commit; arrays new to the store are filled up to here."""
        atoms, frames = self.about["atoms"], self.about["frames"]
        before = {"frame": frames, "atom": atoms, "edge": frames + 1}
        new = {"frame": len(columns["energy"]), "atom": len(columns["numbers"])}
        arrays = dict(self.arrays)
        for name in [*self.arrays, *(columns.keys() - self.arrays.keys())]:
            metadata = arrays.get(name) or new_array(kinds[name], 0)
            axis = ChunkedArray.of(self.path, name, metadata).axis
            missing = before[axis] - metadata.shape[0] + (0 if name in columns else new[axis])
            filling = np.full((missing, *metadata.shape[1:]), metadata.fill_value)
            values = np.concatenate([filling, columns[name]]) if name in columns else filling
            arrays[name] = self._write(name, metadata, values, metadata.shape[0])
        end = int(columns["ptr"][-1]) if len(columns["ptr"]) else atoms
        self._commit(arrays, about_store(self.about["uuid"], words, frames + new["frame"], end))

    def fill(self, column: Column, values: NDArray[Any], words: Vocabularies) -> None:
        """Write a whole column beside the committed ones, and commit."""
        metadata = self.arrays.get(column.name) or new_array(column, len(values))
        arrays = self.arrays | {column.name: self._write(column.name, metadata, values, 0)}
        about = about_store(self.about["uuid"], words, self.about["frames"], self.about["atoms"])
        self._commit(arrays, about)

    def discard(self) -> None:
        """Forget what was written and not committed."""
        self._store.discard()

    def _write(
        self, name: str, metadata: ArrayV3Metadata, values: NDArray[Any], first: int
    ) -> ArrayV3Metadata:
        self._is_in_step = False
        longer = metadata.update_shape((first + len(values), *metadata.shape[1:]))
        array = ChunkedArray.of(self.path, name, longer)
        for chunk in array.touched(first, len(values) + first) if len(values) else ():
            try:
                self._store.set_sync(array.key(chunk), array.encode(chunk, first, values))
            except DamagedChunk as error:
                raise StorageError(
                    f"Nothing can be added to {self.path}: {array.path(chunk)} {error.reason}. "
                    "Restore it from a copy."
                ) from error
        return longer

    def _commit(self, arrays: Mapping[str, ArrayV3Metadata], about: Mapping[str, Any]) -> None:
        """Show the chunks, then the arrays' metadata, `ptr` last, and then the root."""
        self._is_in_step = False
        ordered = {name: arrays[name] for name in names_in_order(list(arrays))}
        documents = {name: self._document(name, each) for name, each in ordered.items()}
        whole = dict(about) | {WHOLE: True}
        self._store.barrier()
        for name, document in documents.items():
            self._store.set_sync(f"{name}/{ROOT}", json.dumps(document).encode())
        self._store.barrier()
        self._store.set_sync(ROOT, root_content(documents, whole))
        self._store.flush()
        self.arrays, self.about = ordered, whole
        self._is_in_step = True

    def _document(self, name: str, metadata: ArrayV3Metadata) -> dict[str, Any]:
        """What an array's `zarr.json` says; only its shape ever changes."""
        if name not in self._documents:
            written = metadata.to_buffer_dict(default_buffer_prototype())[ROOT]
            self._documents[name] = json.loads(written.to_bytes())
        return self._documents[name] | {"shape": list(metadata.shape)}

    def _store_every_chunk(self, arrays: Mapping[str, ArrayV3Metadata]) -> None:
        """Write the chunks of fill values that an older program left out."""
        for name, metadata in arrays.items():
            array = ChunkedArray.of(self.path, name, metadata)
            nothing = np.full(metadata.shape, metadata.fill_value)
            for chunk in array.chunks:
                if not array.path(chunk).exists():
                    self._store.set_sync(array.key(chunk), array.encode(chunk, 0, nothing))

    def _create(self) -> None:
        known = {column.name for column in COLUMNS}
        found = [entry.name for entry in self.path.iterdir()] if self.path.exists() else []
        if _holds_frames(self.path):
            raise StorageError(
                f"{self.path} holds frames, but its {ROOT} is missing. Restore that file from a "
                "copy; nothing was touched."
            )
        strangers = [n for n in found if n not in known and not n.endswith(PARTIAL_SUFFIX)]
        if strangers:
            raise StorageError(
                f"{self.path} holds {strangers[0]!r} and is no frame store. Choose another path."
            )
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir()
        arrays = {column.name: new_array(column, 0) for column in COLUMNS}
        arrays["ptr"] = self._write("ptr", arrays["ptr"], np.zeros(1), 0)
        self._commit(arrays, about_store(uuid.uuid4().hex, Vocabularies(), 0, 0))


def _holds_frames(path: Path) -> bool:
    """Whether there is more than a creation that was cut off can have left: no rows, one offset."""
    for column in COLUMNS:
        folder, length = path / column.name, int(column.name == "ptr")
        document = folder / ROOT
        if document.exists() and json.loads(document.read_bytes())["shape"][0] > length:
            return True
        chunks = [chunk for chunk in folder.glob("c/*") if chunk.name.isdecimal()]
        if len(chunks) > length:
            return True
    return False


def _remove_uncommitted(path: Path, arrays: Mapping[str, ArrayV3Metadata]) -> None:
    for partial in path.rglob(f"*{PARTIAL_SUFFIX}"):
        partial.unlink(missing_ok=True)
    for folder in path.iterdir():
        if folder.is_dir() and folder.name not in arrays:
            shutil.rmtree(folder)
    for name, metadata in arrays.items():
        chunks = -(-metadata.shape[0] // chunk_rows(metadata))
        for chunk in (path / name / "c").glob("*"):
            if chunk.name.isdecimal() and int(chunk.name) >= chunks:
                shutil.rmtree(chunk) if chunk.is_dir() else chunk.unlink()
