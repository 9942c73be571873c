"""Reading `frames.zarr`: a consistent snapshot, also while a campaign appends to it."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from forgefield.storage.errors import StorageError
from forgefield.storage.frame_store.checked_reading import plain_arrays, read_arrays
from forgefield.storage.frame_store.columns import (
    ADDED,
    COLUMNS,
    DIAGNOSTIC,
    FORMAT,
    OPTIONAL,
    Columns,
    Vocabularies,
    column_of,
    from_columns,
)
from forgefield.storage.frame_store.holdout import refuse_if_locked
from forgefield.storage.frame_store.root_document import checked_root
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


def load_frames(
    path: Path | str,
    purposes: Collection[Purpose] = TRAINING_PURPOSES,
    version: int | None = None,
) -> Frames:
    """The committed frames of these purposes, in memory; a store may grow meanwhile.

    `version` takes only the first so many rows of the store, by default all. The hold-out comes
    only when asked for by name, and not at all inside `holdout_locked`. Withdrawn frames are left
    out. Raises `StorageError` for damaged bytes, `HoldoutLocked` where the hold-out is locked.
    """
    if Purpose.HOLDOUT in purposes:
        refuse_if_locked(path)
    group = open_group(Path(path))
    about = checked_about(Path(path), group.attrs.asdict())
    count = _checked_count(Path(path), about, version)
    columns = read_columns(group)
    frames = from_columns(columns, Vocabularies.read(about))
    kept = standing_rows(columns, count)
    if set(purposes) != set(Purpose):
        kept &= np.isin(frames.purpose_F, [int(purpose) for purpose in purposes])
    return frames if kept.all() else frames.select(kept)


def read_everything(path: Path) -> Frames:
    """All rows of the store, the withdrawn ones and the withdrawals too, for its own writer."""
    group = open_group(path)
    return from_columns(
        read_columns(group), Vocabularies.read(checked_about(path, group.attrs.asdict()))
    )


def standing_rows(columns: Mapping[str, NDArray[Any]], count: int) -> NDArray[np.bool_]:
    """Which rows (F,) are frames of the first `count` rows that none of these withdraws."""
    standing = np.arange(len(columns["seq"])) < count
    if "withdraws" in columns:
        withdraws = np.where(standing, columns["withdraws"], -1)
        standing &= (withdraws < 0) & ~np.isin(columns["seq"], withdraws[withdraws >= 0])
    return standing


def dataset_version(path: Path | str, frames: int | None = None) -> DatasetVersion:
    """Version of the first `frames` frames (by default of all): the same for good."""
    group = open_group(Path(path))
    about = checked_about(Path(path), group.attrs.asdict())
    count = _checked_count(Path(path), about, frames)
    optional = [column.name for column in OPTIONAL if column.name in group]
    columns = read_columns(group, (*HASHED, *optional))
    atoms = int(columns["ptr"][count])
    digest = hashlib.blake2b(digest_size=16)
    for name, values in columns.items():
        column = column_of(name)
        end = {"atom": atoms, "edge": count + 1}.get(column.axis, count)
        if name in HASHED or not _is_absent(values[:end]):
            digest.update(np.ascontiguousarray(values[:end]).tobytes())
    return DatasetVersion(about["uuid"], count, digest.hexdigest())


def stored_rows(path: Path | str) -> tuple[Integers, Bytes]:
    """`seq` (F,) and job `key` (F, 16) of all committed rows, hold-out and withdrawals included."""
    columns = read_columns(open_group(Path(path)), ("seq", "key"))
    return columns["seq"], columns["key"]


def open_group(path: Path) -> zarr.Group:
    """The store as any stock reader opens it; raises `StorageError` where there is none."""
    try:
        checked_root(path)
        return zarr.open_group(path, mode="r", zarr_format=3)
    except (FileNotFoundError, ValueError, KeyError) as error:
        raise StorageError(f"There is no frame store at {path}: {error}") from error


def read_columns(group: zarr.Group, names: Sequence[str] = ()) -> Columns:
    """Whole arrays by name, by default all; raises `StorageError` for damaged bytes."""
    wanted = list(names) or [column.name for column in COLUMNS] + _further_names(group)
    plain = plain_arrays(group)
    columns = read_arrays({name: plain[name] for name in wanted if name in plain})
    for name in wanted:
        if name in columns:
            continue
        try:
            columns[name] = np.asarray(group[name][...])  # type: ignore[index]
        except Exception as error:
            raise StorageError(
                f"The array {name!r} of {group.store} is damaged: {error}. Restore it from a copy."
            ) from error
    return {name: columns[name] for name in wanted}


def checked_about(path: Path, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The root's `forgefield` attributes; raises `StorageError` for another format."""
    about = attributes.get("forgefield", {})
    if about.get("format") != FORMAT:
        raise StorageError(
            f"{path} has frame format {about.get('format')}, this program reads {FORMAT}."
        )
    return dict(about)


def _checked_count(path: Path, about: Mapping[str, Any], wanted: int | None) -> int:
    count = about["frames"] if wanted is None else wanted
    if not 0 <= count <= about["frames"]:
        raise StorageError(f"{path} has {about['frames']} frames, not {count}.")
    return int(count)


def _is_absent(values: NDArray[Any]) -> bool:
    """Whether a column that not every store has holds nothing here."""
    return bool((values == -1).all() if values.dtype.kind == "i" else np.isnan(values).all())


def _further_names(group: zarr.Group) -> list[str]:
    optional = {column.name for column in OPTIONAL}
    return sorted(
        name
        for name in group.array_keys()
        if name in optional or name.startswith((DIAGNOSTIC, ADDED))
    )
