"""Whole arrays of a local store, every chunk checked, damage named by file and frames.

Chunks are decoded by several threads, each straight to its place.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.core.metadata.v3 import ArrayV3Metadata
from zarr.storage import LocalStore

from forgefield.storage.errors import StorageError
from forgefield.storage.frame_store.array_layout import is_plain
from forgefield.storage.frame_store.chunks import ChunkedArray, DamagedChunk
from forgefield.storage.frame_store.root_document import WHOLE

THREADS = 4


def plain_arrays(group: zarr.Group) -> dict[str, ChunkedArray]:
    """The arrays of a group whose chunk files can be read here: none of a store not on disk.

    A missing chunk is damage unless the writer left out those of nothing but fill values, as
    older programs did, and as releases do.
    """
    about = group.attrs.asdict().get("forgefield")
    consolidated = group.metadata.consolidated_metadata
    if not (isinstance(about, dict) and isinstance(group.store, LocalStore)):
        return {}
    whole = bool(about.get(WHOLE))
    root = Path(group.store.root) / group.path
    listed = consolidated.metadata if consolidated else {}
    return {
        name: ChunkedArray.of(root, name, metadata, whole=whole)
        for name, metadata in listed.items()
        if isinstance(metadata, ArrayV3Metadata) and is_plain(metadata)
    }


def read_arrays(arrays: Mapping[str, ChunkedArray]) -> dict[str, NDArray[Any]]:
    """All rows of these arrays by name; raises `StorageError` that names a damaged chunk."""
    rows = {name: array.empty() for name, array in arrays.items()}
    tasks = [(array, chunk) for array in arrays.values() for chunk in array.chunks]
    with ThreadPoolExecutor(THREADS) as pool:
        done = pool.map(lambda task: damage(task[0], task[1], 0, rows[task[0].name]), tasks)
        for task, error in zip(tasks, done, strict=True):
            if error is not None:
                pool.shutdown(cancel_futures=True)
                raise damaged(*task, error.reason)
    return rows


def damage(array: ChunkedArray, chunk: int, first: int, rows: NDArray[Any]) -> DamagedChunk | None:
    """Put a chunk into `rows`, which start at row `first`, or say what is wrong with it."""
    try:
        array.read_chunk(chunk, first, rows)
    except DamagedChunk as error:
        return error
    return None


def damaged(array: ChunkedArray, chunk: int, reason: str) -> StorageError:
    """The error for a damaged chunk."""
    return StorageError(
        f"The array {array.name!r} of {array.folder.parent} is damaged: "
        f"{describe(array, chunk, reason)}. Restore this file from a copy."
    )


def describe(array: ChunkedArray, chunk: int, reason: str) -> str:
    """Which file is wrong, how, and which frames it holds."""
    first, last = array.bounds(chunk)
    frames = f"atom rows {first} to {last - 1}"
    if array.axis == "atom":
        frames += "".join(f", frames {a} to {b}" for a, b in _frames_of(array, first, last))
    else:
        frames = f"frames {first} to {last - 1}"
    return f"the chunk {array.key(chunk)} ({frames}) {reason}"


def _frames_of(array: ChunkedArray, first: int, last: int) -> Iterator[tuple[int, int]]:
    """First and last frame of some atom rows, where `ptr` itself can be read."""
    try:
        ptr = np.asarray(zarr.open_array(array.folder.parent / "ptr", mode="r")[...])
    except Exception:  # noqa: BLE001 - whatever is wrong there is named in its own place
        return
    frames = np.searchsorted(ptr, [first, last - 1], side="right") - 1
    yield int(frames[0]), int(frames[1])
