"""A release: a folder with all that somebody else needs to use the data, and to cite it.

`frames.zarr` (Zarr v3, sharded, consolidated, open to any stock reader), `README.md` (dataset
card with a methods paragraph), `LICENSE`, `splits/*.csv` and `SHA256SUMS`. It is made whole beside
its place and then moved there; to an address (`s3://…`, `memory://…`) it is copied, `SHA256SUMS`
last: where that file is, all others are. Names of hosts stay at home.
"""

import hashlib
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec

from forgefield.storage.errors import ForgefieldError, InputError
from forgefield.storage.formats.plain_columns import columns_of
from forgefield.storage.formats.release_text import ReleaseTerms, card, licence_text
from forgefield.storage.formats.safe_files import replacing, writing
from forgefield.storage.formats.watching import Tell, quiet
from forgefield.storage.formats.zarr_frames import STORE, SUMS
from forgefield.storage.frame_store.columns import ATOMS_A_CHUNK, FRAMES_A_CHUNK, Column
from forgefield.storage.frames import Frames, hex_keys
from forgefield.storage.records import Purpose

CHUNKS_A_SHARD = 50
NAMES = ("train", "validation", "test")
DEFAULT_TERMS = ReleaseTerms()


def write_release(
    frames: Frames, path: Path | str, tell: Tell = quiet, terms: ReleaseTerms = DEFAULT_TERMS
) -> None:
    """Write a release to a folder or an fsspec address; `InputError` where that isn't possible."""
    if not len(frames):
        raise InputError("There are no frames to release.")
    if "://" in str(path):
        with tempfile.TemporaryDirectory() as folder:
            _fill(Path(folder), frames, tell, terms)
            _upload(Path(folder), str(path))
        return
    with replacing(Path(path), "a release", SUMS) as waiting:
        waiting.mkdir()
        _fill(waiting, frames, tell, terms)


def split_of(frames: Frames) -> NDArray[np.int64]:
    """Index into `NAMES` of each frame, (F,), -1 for none: an added `split`, else its purpose."""
    if "split" in frames.added_F:
        return np.asarray(frames.added_F["split"], dtype=np.int64)
    by_purpose = {Purpose.VALIDATION: 1, Purpose.HOLDOUT: 2}
    return np.array(
        [by_purpose.get(Purpose(p), 0) for p in frames.purpose_F.tolist()], dtype=np.int64
    )


def _fill(folder: Path, frames: Frames, tell: Tell, terms: ReleaseTerms) -> None:
    origin = frames.provenance
    nameless = replace(origin, hosts=("",), host_F=np.zeros_like(origin.host_F))
    public = replace(frames, provenance=nameless)
    _write_store(public, folder / STORE, tell)
    counts = _write_splits(public, folder / "splits")
    (folder / "README.md").write_text(card(public, terms, counts), encoding="utf-8")
    (folder / "LICENSE").write_text(licence_text(terms), encoding="utf-8")
    (folder / SUMS).write_text("".join(_sums(folder)), encoding="utf-8")


def _write_store(frames: Frames, path: Path, tell: Tell) -> None:
    values, kinds, about = columns_of(frames)
    root = zarr.open_group(path, mode="w", zarr_format=3, attributes={"forgefield": about})
    for done, (name, column) in enumerate(values.items(), start=1):
        _write_array(root, kinds[name], column)
        tell(len(frames) * done // len(values))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # readers without consolidated metadata skip it
        zarr.consolidate_metadata(root.store, zarr_format=3)


def _write_array(root: zarr.Group, kind: Column, values: NDArray[Any]) -> None:
    rows = ATOMS_A_CHUNK if kind.axis == "atom" else FRAMES_A_CHUNK
    chunk = max(1, min(rows, len(values)))
    shards = min(CHUNKS_A_SHARD, -(-len(values) // chunk))
    array = root.create_array(
        kind.name,
        shape=values.shape,
        chunks=(chunk, *values.shape[1:]),
        shards=(chunk * max(1, shards), *values.shape[1:]),
        dtype=kind.dtype,
        compressors=(ZstdCodec(level=3), Crc32cCodec()),
        fill_value=kind.fill,
        dimension_names=kind.dimensions,
        attributes={"units": kind.units},
    )
    array[...] = values


def _write_splits(frames: Frames, folder: Path) -> dict[str, int]:
    folder.mkdir()
    split_F, hashes = split_of(frames), hex_keys(frames.geometry_F)
    counts = {}
    for place, name in enumerate(NAMES):
        members = np.flatnonzero(split_F == place).tolist()
        lines = ["index,geometry\n", *(f"{frame},{hashes[frame]}\n" for frame in members)]
        (folder / f"{name}.csv").write_text("".join(lines), encoding="utf-8")
        counts[name] = len(members)
    left_out = int((split_F < 0).sum())
    return counts | ({"none": left_out} if left_out else {})


def _sums(folder: Path) -> Iterator[str]:
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        yield f"{digest}  {file.relative_to(folder).as_posix()}\n"


def _upload(folder: Path, address: str) -> None:
    with writing(Path(address), "a release at an address"):
        try:
            _copy(folder, address)
        except (ForgefieldError, ImportError):
            raise
        except Exception as error:  # each store has errors of its own
            reason = str(error) or type(error).__name__
            raise InputError(f"Can't write {address}: {reason}. Check the address.") from error


def _copy(folder: Path, address: str) -> None:
    from fsspec.core import url_to_fs

    remote, place = url_to_fs(address)
    if remote.exists(f"{place}/{SUMS}"):
        raise InputError(f"{address} holds a release already. Choose another address.")
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    for file in sorted(files, key=lambda file: file.name == SUMS):
        remote.pipe_file(f"{place}/{file.relative_to(folder).as_posix()}", file.read_bytes())
