"""The frame store: `frames.zarr`, plain Zarr v3 that any stock reader opens while it grows.

Never broken: the consolidated metadata in the root `zarr.json` is the only commit. Rows are
appended behind the committed ones, made durable, and only then does a new root name them; a
committed row is never changed. Whatever lies behind the committed length after a crash is cut
off when the next writer opens. One writer at a time, by file lock.
"""

import json
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.core.array import AsyncArray
from zarr.core.buffer import default_buffer_prototype
from zarr.core.group import ConsolidatedMetadata, GroupMetadata
from zarr.core.metadata.v3 import ArrayV3Metadata
from zarr.storage import StorePath

from forgefield.storage.durable_store import PARTIAL_SUFFIX, DurableStore
from forgefield.storage.errors import StorageError
from forgefield.storage.frame_layout import (
    COLUMNS,
    Vocabularies,
    about_store,
    column_of,
    names_in_order,
    new_array,
    to_columns,
)
from forgefield.storage.frame_reading import (
    DatasetVersion,
    checked_about,
    dataset_version,
    load_frames,
    stored_rows,
)
from forgefield.storage.frames import TRAINING_PURPOSES, Bytes, Frames, StoredFrame, from_stored
from forgefield.storage.ragged import Integers, index_into
from forgefield.storage.run_lock import FileLock

__all__ = ["TRAINING_PURPOSES", "DatasetVersion", "FrameStore", "dataset_version", "load_frames"]
ROOT = "zarr.json"


class FrameStore:
    """The one writer of a frame store; use `open_for_writing`."""

    def __init__(self, path: Path, lock: FileLock) -> None:
        self._path = path
        self._lock = lock
        self._store = DurableStore(path)
        self._arrays: dict[str, ArrayV3Metadata] = {}
        self._about: dict[str, Any] = {}

    @classmethod
    def open_for_writing(cls, path: Path | str) -> "FrameStore":
        """Open or create; cuts off what a crash left behind the committed frames.

        Raises `RunBusy` while another writer has it open, `StorageError` where `path` is
        something else.
        """
        folder = Path(path)
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_name(folder.name + ".lock"))
        lock.acquire()
        try:
            store = cls(folder, lock)
            store._recover()
        except BaseException:
            lock.release()
            raise
        return store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return int(self._about["frames"])

    @property
    def path(self) -> Path:
        """Where the store lies."""
        return self._path

    def close(self) -> None:
        """Let another writer in."""
        self._store.discard()
        self._lock.release()

    def append(self, frames: Sequence[StoredFrame]) -> None:
        """Add frames at the end; they are durable and visible when this returns.

        Raises `StorageError` where the disk refuses; then nothing was added.
        """
        if not frames:
            return
        try:
            self._append(from_stored(frames))
        except OSError as error:
            self._store.discard()
            raise StorageError(
                f"{len(frames)} frames could not be written to {self._path}: {error}. Free some "
                "space, or check the permissions; nothing was lost."
            ) from error

    def rows(self) -> tuple[Integers, Bytes]:
        """`seq` (F,) and job `key` (F, 16) of all frames, the hold-out included."""
        return stored_rows(self._path)

    def version(self, frames: int | None = None) -> DatasetVersion:
        """Version of the first `frames` frames, by default of all."""
        return dataset_version(self._path, frames)

    def _append(self, frames: Frames) -> None:
        words, pointers = _grow(Vocabularies.read(self._about), frames)
        columns = to_columns(frames, pointers, self._about["atoms"])
        arrays = dict(self._arrays)
        for name in columns.keys() - arrays.keys():
            arrays[name] = new_array(column_of(name), len(self))
        for name, metadata in arrays.items():
            values = columns.get(name, np.full(len(frames), np.nan))
            arrays[name] = self._write_rows(name, metadata, values)
        self._store.flush()
        about = about_store(
            self._about["uuid"], words, len(self) + len(frames), int(columns["ptr"][-1])
        )
        self._commit(arrays, about)

    def _write_rows(
        self, name: str, metadata: ArrayV3Metadata, values: NDArray[Any]
    ) -> ArrayV3Metadata:
        first = metadata.shape[0]
        longer = metadata.update_shape((first + len(values), *metadata.shape[1:]))
        place = StorePath(self._store, name)
        array: zarr.Array[Any] = zarr.Array(AsyncArray(metadata=longer, store_path=place))
        array[first:] = values.astype(column_of(name).dtype)
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
        self._arrays, self._about = dict(ordered), dict(about)

    def _recover(self) -> None:
        if not (self._path / ROOT).exists():
            self._create()
            return
        root = GroupMetadata.from_dict(json.loads((self._path / ROOT).read_bytes()))
        self._about = checked_about(self._path, root.attributes)
        listed = root.consolidated_metadata.metadata if root.consolidated_metadata else {}
        arrays = {n: each for n, each in listed.items() if isinstance(each, ArrayV3Metadata)}
        _remove_uncommitted(self._path, arrays)
        self._commit(arrays, self._about)

    def _create(self) -> None:
        known = {column.name for column in COLUMNS}
        found = [entry.name for entry in self._path.iterdir()] if self._path.exists() else []
        strangers = [n for n in found if n not in known and not n.endswith(PARTIAL_SUFFIX)]
        if strangers:
            raise StorageError(
                f"{self._path} holds {strangers[0]!r} and is no frame store. Choose another path."
            )
        shutil.rmtree(self._path, ignore_errors=True)
        self._path.mkdir()
        arrays = {column.name: new_array(column, 0) for column in COLUMNS}
        arrays["ptr"] = self._write_rows("ptr", arrays["ptr"], np.zeros(1))
        self._store.flush()
        self._commit(arrays, about_store(uuid.uuid4().hex, Vocabularies(), 0, 0))


def _grow(words: Vocabularies, frames: Frames) -> tuple[Vocabularies, dict[str, Integers]]:
    origin = frames.provenance
    methods, to_method = index_into(words.methods, frames.methods)
    molecules, to_molecule = index_into(words.molecules, frames.molecules)
    programs, to_program = index_into(words.programs, origin.programs)
    hosts, to_host = index_into(words.hosts, origin.hosts)
    pointers = {
        "method": to_method[frames.method_F],
        "molecule": to_molecule[frames.molecule_F],
        "program": to_program[origin.program_F],
        "host": to_host[origin.host_F],
    }
    return Vocabularies(methods, molecules, programs, hosts), pointers


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
