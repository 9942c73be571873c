"""Reading every byte of a frame store to name what is damaged, and the frames that it holds."""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from zarr.core.metadata.v3 import ArrayV3Metadata

from forgefield.storage.errors import StorageError
from forgefield.storage.frame_store.checked_reading import THREADS, damage, describe
from forgefield.storage.frame_store.chunks import ChunkedArray, DamagedChunk
from forgefield.storage.frame_store.columns import COLUMNS
from forgefield.storage.frame_store.root_document import ROOT, WHOLE, checked_root


def verify_store(path: Path | str) -> list[str]:
    """What is wrong with the store at `path`, a line each; empty where all is well.

    Names each damaged or missing chunk with the frames it holds, metadata that differ from the
    committed ones, and offsets that make no sense. A store may grow meanwhile. Raises
    `StorageError` where there is no store.
    """
    folder = Path(path)
    try:
        root = checked_root(folder)
    except FileNotFoundError as error:
        raise StorageError(f"There is no frame store at {path}. Check the path.") from error
    except StorageError as error:
        return [str(error)]
    documents = root["consolidated_metadata"]["metadata"]
    about = root["attributes"]["forgefield"]
    whole = bool(about.get(WHOLE))
    arrays = [
        ChunkedArray.of(folder, name, ArrayV3Metadata.from_dict(document), whole=whole)
        for name, document in documents.items()
    ]
    return [
        *_absent_arrays(documents),
        *_wrong_metadata(folder, documents),
        *_wrong_lengths(arrays, about),
        *_wrong_chunks(arrays),
        *_wrong_offsets(arrays, about),
    ]


def _absent_arrays(documents: Mapping[str, Any]) -> Iterator[str]:
    for column in COLUMNS:
        if column.name not in documents:
            yield f"the array {column.name!r} is missing"


def _wrong_metadata(folder: Path, documents: Mapping[str, Any]) -> Iterator[str]:
    """Arrays whose own `zarr.json` isn't the committed one; it may be longer for a moment."""
    for name, document in documents.items():
        place = f"{name}/{ROOT}"
        try:
            found = json.loads((folder / place).read_bytes())
            longer = found["shape"][0] >= document["shape"][0]
            same = found | {"shape": document["shape"]} == document
        except (OSError, ValueError, KeyError, TypeError) as error:
            yield f"the metadata {place} can't be read: {error!r}"
            continue
        if not (longer and same):
            yield f"the metadata {place} differ from the committed ones in {ROOT}"


def _wrong_lengths(arrays: list[ChunkedArray], about: Mapping[str, Any]) -> Iterator[str]:
    lengths = {"frame": about["frames"], "edge": about["frames"] + 1, "atom": about["atoms"]}
    for array in arrays:
        if array.shape[0] != lengths[array.axis]:
            yield f"the array {array.name!r} has {array.shape[0]} rows, not {lengths[array.axis]}"


def _wrong_chunks(arrays: list[ChunkedArray]) -> Iterator[str]:
    tasks = [(array, chunk) for array in arrays for chunk in array.chunks]
    with ThreadPoolExecutor(THREADS) as pool:
        for (array, chunk), error in zip(tasks, pool.map(_damage, tasks), strict=True):
            if error is not None:
                yield describe(array, chunk, error.reason)


def _damage(task: tuple[ChunkedArray, int]) -> DamagedChunk | None:
    array, chunk = task
    first, last = array.bounds(chunk)
    return damage(array, chunk, first, np.empty((last - first, *array.shape[1:]), array.dtype))


def _wrong_offsets(arrays: list[ChunkedArray], about: Mapping[str, Any]) -> Iterator[str]:
    """Frames whose atoms can't be where `ptr` says; a damaged `ptr` was named before."""
    for array in arrays:
        if array.name != "ptr":
            continue
        try:
            ptr = array.read(0, array.shape[0])
        except DamagedChunk:
            return
        if ptr[0] != 0 or ptr[-1] != about["atoms"] or (np.diff(ptr) < 0).any():
            yield f"the offsets 'ptr' don't lead from 0 to the {about['atoms']} atoms of the store"
