"""Frames from `frames.zarr`, of a run folder or of a release, sharded or not.

What somebody else's store claims is held against the bytes it has before anything is read: Zarr
itself would fill a missing chunk of any size.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from forgefield.storage.errors import InputError, StorageError
from forgefield.storage.formats.foreign import ForeignFrames, from_frames
from forgefield.storage.formats.foreign_checks import checked
from forgefield.storage.formats.hdf5 import check_columns
from forgefield.storage.formats.plain_columns import frames_of
from forgefield.storage.formats.safe_files import check_claim, reading
from forgefield.storage.frame_store.columns import COLUMNS
from forgefield.storage.frame_store.reading import checked_about, read_columns, standing_rows

STORE, SUMS = "frames.zarr", "SHA256SUMS"


def read_zarr(path: Path) -> ForeignFrames:
    """All frames that stand; `path` is the store, or a folder that holds one as `frames.zarr`.

    The files of a release must have the checksums that it lists.
    """
    folder = path / STORE if (path / STORE).is_dir() else path
    with reading(path, "frames.zarr"):
        _check_sums(path)
        if not (folder / "zarr.json").is_file():
            raise InputError(f"{path} is no Zarr store of frames: it has no zarr.json.")
        group = zarr.open_group(folder, mode="r", zarr_format=3)
        about = _about(folder, group)
        _check_arrays(dict(group.arrays()), folder)
        lacking = [column.name for column in COLUMNS if column.name not in group]
        if lacking:
            raise InputError(f"{path} lacks the arrays {', '.join(lacking)}.")
        try:
            columns = read_columns(group)
        except StorageError as error:
            raise InputError(str(error)) from error
        check_columns(columns, path)
        frames = frames_of(columns, about)
        standing = standing_rows(columns, len(frames))
        return checked(from_frames(frames.select(np.flatnonzero(standing))), path)


def _check_sums(folder: Path) -> None:
    if not (folder / SUMS).is_file():
        return
    listed = {}
    for line in (folder / SUMS).read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        listed[name] = digest
    there = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    for name in sorted(listed.keys() | (there - {SUMS})):
        if name not in there or name not in listed:
            raise InputError(f"{folder}: {name} is absent, or not listed in {SUMS}. Get it again.")
        with (folder / name).open("rb") as opened:
            if hashlib.file_digest(opened, "sha256").hexdigest() != listed[name]:
                raise InputError(f"{folder}: {name} isn't what {SUMS} says. Get it again.")


def _about(folder: Path, group: zarr.Group) -> dict[str, object]:
    try:
        return checked_about(folder, group.attrs.asdict())
    except StorageError as error:
        raise InputError(str(error)) from error


def _check_arrays(arrays: dict[str, zarr.Array[Any]], folder: Path) -> None:
    """Raise `InputError` where all arrays together, or one chunk, claim too much."""
    odd = [name for name, array in arrays.items() if not _is_plain(name, array)]
    if odd:
        raise InputError(f"{folder} has a {odd[0]} that is no array.")
    held = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    whole = sum(_bytes(array, array.shape) for array in arrays.values())
    check_claim(folder, "arrays", whole, held)
    for name, array in arrays.items():
        for piece in (array.chunks, array.shards or ()):
            check_claim(folder, name, _bytes(array, piece), max(held, FULL_CHUNK_BYTES))


def _is_plain(name: str, array: object) -> bool:
    return isinstance(array, zarr.Array) and "/" not in name


def _bytes(array: zarr.Array[Any], shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=object)) * array.dtype.itemsize


FULL_CHUNK_BYTES = 2**20
"""A store of few frames has chunks that are larger than what they hold."""
