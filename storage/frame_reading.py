"""Reading `frames.zarr`: a consistent snapshot, also while a campaign appends to it."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from forgefield.storage.errors import StorageError
from forgefield.storage.frame_layout import (
    COLUMNS,
    DIAGNOSTIC,
    FORMAT,
    Columns,
    Vocabularies,
    column_of,
    from_columns,
)
from forgefield.storage.frames import TRAINING_PURPOSES, Bytes, Frames
from forgefield.storage.ragged import Integers
from forgefield.storage.records import Purpose

HASHED = ("ptr", "numbers", "positions", "forces", "energy", "purpose", "seq", "cost_micro", "key")


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """Names the first `frames` frames of a store, and their content by hash, for good."""

    uuid: str
    frames: int
    hash: str


def load_frames(path: Path | str, purposes: Collection[Purpose] = TRAINING_PURPOSES) -> Frames:
    """The committed frames of these purposes, in memory; a store may grow meanwhile.

    The hold-out comes only when asked for by name. Raises `StorageError` for damaged bytes.
    """
    group = open_group(Path(path))
    about = checked_about(Path(path), group.attrs.asdict())
    frames = from_columns(read_columns(group), Vocabularies.read(about))
    if set(purposes) == set(Purpose):
        return frames
    return frames.of_purpose(*purposes)


def dataset_version(path: Path | str, frames: int | None = None) -> DatasetVersion:
    """Version of the first `frames` frames (by default of all): the same for good."""
    group = open_group(Path(path))
    about = checked_about(Path(path), group.attrs.asdict())
    count = about["frames"] if frames is None else frames
    if not 0 <= count <= about["frames"]:
        raise StorageError(f"{path} has {about['frames']} frames, not {count}.")
    columns = read_columns(group, HASHED)
    atoms = int(columns["ptr"][count])
    digest = hashlib.blake2b(digest_size=16)
    for name in HASHED:
        end = {"atom": atoms, "edge": count + 1}.get(column_of(name).axis, count)
        digest.update(np.ascontiguousarray(columns[name][:end]).tobytes())
    return DatasetVersion(about["uuid"], count, digest.hexdigest())


def stored_rows(path: Path | str) -> tuple[Integers, Bytes]:
    """`seq` (F,) and job `key` (F, 16) of all committed frames, the hold-out included."""
    columns = read_columns(open_group(Path(path)), ("seq", "key"))
    return columns["seq"], columns["key"]


def open_group(path: Path) -> zarr.Group:
    """The store as any stock reader opens it; raises `StorageError` where there is none."""
    try:
        return zarr.open_group(path, mode="r", zarr_format=3)
    except (FileNotFoundError, ValueError, KeyError) as error:
        raise StorageError(f"There is no frame store at {path}: {error}") from error


def read_columns(group: zarr.Group, names: Sequence[str] = ()) -> Columns:
    """Whole arrays by name, by default all; raises `StorageError` for damaged bytes."""
    columns: Columns = {}
    for name in names or [column.name for column in COLUMNS] + _diagnostic_names(group):
        try:
            columns[name] = np.asarray(group[name][...])  # type: ignore[index]
        except Exception as error:
            raise StorageError(
                f"The array {name!r} of {group.store} is damaged: {error}. Restore it from a copy."
            ) from error
    return columns


def checked_about(path: Path, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The root's `forgefield` attributes; raises `StorageError` for another format."""
    about = attributes.get("forgefield", {})
    if about.get("format") != FORMAT:
        raise StorageError(
            f"{path} has frame format {about.get('format')}, this program reads {FORMAT}."
        )
    return dict(about)


def _diagnostic_names(group: zarr.Group) -> list[str]:
    return sorted(name for name in group.array_keys() if name.startswith(DIAGNOSTIC))
