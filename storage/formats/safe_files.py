"""Opening files that anybody may have made, and writing ones that are whole or not there.

Never broken: a file is believed about its size only as far as it is long; nothing in it is run
(no pickles, no objects); whatever a library says about it becomes an `InputError` with its name.
"""

import math
import os
import shutil
import uuid
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from forgefield.storage.errors import ForgefieldError, InputError, MissingProgram
from forgefield.storage.frame_store.durable_store import PARTIAL_SUFFIX

LONGEST_REASON = 200
COMPRESSIBLE = 40
"""Coordinates shrink to a half; a whole file that shrinks to less than a fortieth is a bomb.

Single columns may: absent forces and constant charges shrink to nothing.
"""
SMALL_BYTES = 2**22
"""Below this nobody minds how far something shrank."""


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Inside, a library reads `path`: whatever it raises becomes an `InputError` with the name."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ForgefieldError:
        raise
    except ImportError as error:
        raise _missing(kind, error) from error
    except Exception as error:  # readers raise anything at all
        reason = (str(error) or type(error).__name__).replace("\n", " ")
        raise InputError(
            f"{path} can't be read as {kind}: {reason[:LONGEST_REASON]}. Is it whole, and of this "
            "format?"
        ) from error


@contextmanager
def writing(path: Path, kind: str) -> Iterator[None]:
    """Inside, `path` is written: an `InputError` says where that isn't possible."""
    try:
        yield
    except ImportError as error:
        raise _missing(kind, error) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"Can't write {path}: {reason}. Choose another place.") from error


def _missing(kind: str, error: ImportError) -> MissingProgram:
    needed = f"needs {error.name}" if error.name else f"needs a library ({error})"
    return MissingProgram(f"{kind} {needed}: pip install 'forgefield[formats]'")


@contextmanager
def replacing(path: Path, kind: str, marker: str = "") -> Iterator[Path]:
    """A hidden path beside `path` to write a file or a folder at, which then takes its place.

    The old one or the whole new one is there, whatever happens. An old folder is only replaced
    where it is empty or holds a `marker`, a file that all folders of this kind have; it is first
    moved aside, so that a kill in this instant leaves it under a name that starts with a dot.
    """
    if not path.name or path.name == "..":
        raise InputError(f"{path} can't be written; give it a name.")
    if path.is_dir() and any(path.iterdir()) and not (marker and (path / marker).is_file()):
        raise InputError(f"{path} is a folder that holds other things. Choose another place.")
    mark = uuid.uuid4().hex[:12]
    waiting = path.with_name(f".{path.stem}.{mark}{PARTIAL_SUFFIX}{path.suffix}")
    try:
        with writing(path, kind):
            if not path.parent.is_dir():
                raise InputError(f"There is no folder {path.parent}; make it or choose another.")
            yield waiting
            _take_place(waiting, path, mark)
    finally:
        _remove(waiting)


def _take_place(waiting: Path, path: Path, mark: str) -> None:
    for file in [waiting, *waiting.rglob("*")]:
        if file.is_file():
            with file.open("rb") as written:
                os.fsync(written.fileno())
    if not path.is_dir():
        waiting.replace(path)
        return
    aside = path.with_name(f".{path.name}.{mark}.old")
    path.rename(aside)
    waiting.rename(path)
    _remove(aside)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def check_file(path: Path) -> int:
    """Bytes of the file; raises `InputError` where none can be opened."""
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a file.")
    if path.exists() and not path.is_file():
        raise InputError(f"{path} is a pipe or a device, not a file.")
    try:
        with path.open("rb") as file:
            file.read(1)
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"Can't read {path}: {reason}.") from error
    if not size:
        raise InputError(f"{path} is empty.")
    return size


def machine_bytes() -> int:
    """Memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_claim(path: Path, what: str, claimed: int, held: int) -> None:
    """Raise `InputError` where `claimed` bytes are to come from `held` ones, as in a bomb.

    Nothing may claim more than the machine has.
    """
    if claimed > machine_bytes():
        raise InputError(
            f"{path} claims {claimed:,} bytes of {what}; this machine has {machine_bytes():,}. "
            "Import it in parts, or on a larger one."
        )
    if claimed < 0 or claimed > max(SMALL_BYTES, COMPRESSIBLE * held):
        raise InputError(
            f"{path} claims {claimed:,} bytes of {what} from {held:,} stored ones. It is damaged, "
            "or made to fill the memory."
        )


def read_archive(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an `.npz` by name, none of them of Python objects, all inside `reading`."""
    size = check_file(path)
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".npy")]
        check_claim(path, "arrays", sum(archive.getinfo(name).file_size for name in names), size)
        return {name[:-4]: _member(archive, name, path) for name in names}


def _member(archive: zipfile.ZipFile, name: str, path: Path) -> NDArray[Any]:
    stored = archive.getinfo(name)
    with archive.open(name) as file:
        shape, dtype = _header(file)
        claimed = math.prod(shape) * dtype.itemsize
    if dtype.hasobject:
        raise InputError(f"{path} holds Python objects in {name}; save plain arrays instead.")
    if claimed > stored.file_size:
        raise InputError(
            f"{path} claims an array of shape {shape} in {name}, but holds {stored.file_size} bytes"
        )
    with archive.open(name) as file:
        return np.asarray(npy.read_array(file, allow_pickle=False))


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    readers: Mapping[tuple[int, int], Callable[..., Any]] = {
        (1, 0): npy.read_array_header_1_0,
        (2, 0): npy.read_array_header_2_0,
    }
    shape, _, dtype = readers[npy.read_magic(file)](file)
    if any(length < 0 for length in shape):
        raise ValueError(f"a shape of {shape}")
    return shape, dtype
