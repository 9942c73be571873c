"""The formats by name, and which one a path means.

A new one is a file with a writer and perhaps a reader, and a line in `FORMATS`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from forgefield.storage.errors import InputError
from forgefield.storage.formats.ase_db import read_ase_db, write_ase_db
from forgefield.storage.formats.deepmd import write_deepmd
from forgefield.storage.formats.extended_xyz import write_extended_xyz
from forgefield.storage.formats.extended_xyz_reading import read_extended_xyz
from forgefield.storage.formats.foreign import ForeignFrames
from forgefield.storage.formats.hdf5 import read_hdf5, write_hdf5
from forgefield.storage.formats.lmdb_records import write_lmdb
from forgefield.storage.formats.pyg import write_pyg
from forgefield.storage.formats.release import write_release
from forgefield.storage.formats.sgdml import read_sgdml, write_sgdml
from forgefield.storage.formats.watching import Tell
from forgefield.storage.formats.zarr_frames import read_zarr
from forgefield.storage.frames import Frames

Writer = Callable[[Frames, Path, Tell], None]
Reader = Callable[[Path], ForeignFrames]


@dataclass(frozen=True, slots=True)
class Format:
    """A file format: what it is called, the ends of its names, and how it is written and read.

    `one_method` formats have no place for a second method; `folder` ones are folders.
    """

    title: str
    suffixes: tuple[str, ...]
    write: Writer | None = None
    read: Reader | None = None
    one_method: bool = False
    folder: bool = False


FORMATS = {
    "extxyz": Format(
        "extended XYZ", (".xyz", ".extxyz"), write=write_extended_xyz, read=read_extended_xyz
    ),
    "sgdml": Format(
        "sGDML or rMD17 archive", (".npz",), write=write_sgdml, read=read_sgdml, one_method=True
    ),
    "ase": Format("ASE database", (".db",), write=write_ase_db, read=read_ase_db),
    "hdf5": Format("HDF5", (".h5", ".hdf5"), write=write_hdf5, read=read_hdf5),
    "lmdb": Format("LMDB", (".lmdb",), write=write_lmdb),
    "deepmd": Format(
        "DeePMD systems (a folder)", (".deepmd",), write=write_deepmd, one_method=True, folder=True
    ),
    "pyg": Format("PyTorch Geometric tensors", (".pt",), write=write_pyg),
    "zarr": Format("Zarr frames", (".zarr",), read=read_zarr, folder=True),
    "release": Format(
        "release (a folder)", (".release",), write=write_release, read=read_zarr, folder=True
    ),
}


def writer_of(path: Path | str, name: str | None) -> Format:
    """The format to write at a path; raises `InputError` where there is none."""
    found = _format(path, name, {key: f for key, f in FORMATS.items() if f.write})
    if "://" in str(path) and found.write is not write_release:
        raise InputError(f"{path} is an address; only a release is written to one.")
    if found.folder and Path(path).is_file():
        raise InputError(f"{path} is a file, and a {found.title} is written there. Move it away.")
    if not found.folder and Path(path).is_dir():
        raise InputError(f"{path} is a folder; name the {found.title} file to write.")
    return found


def reader_of(path: Path, name: str | None) -> Format:
    """The format to read a path as; raises `InputError` where there is none."""
    readable = {key: each for key, each in FORMATS.items() if each.read}
    if name is None and path.is_dir():
        return readable["zarr"]
    return _format(path, name, readable)


def _format(path: Path | str, name: str | None, known: dict[str, Format]) -> Format:
    if name is not None:
        if name.lower() not in known:
            raise InputError(f"{name!r} is no format for this. Choose from {', '.join(known)}.")
        return known[name.lower()]
    if "://" in str(path) and "release" in known:
        return known["release"]
    suffix = Path(path).suffix.lower()
    found = next((each for each in known.values() if suffix in each.suffixes), None)
    if found is None:
        choices = ", ".join(f"{key} ({each.suffixes[0]})" for key, each in known.items())
        raise InputError(f"{path} doesn't say its format. Name it with --format: {choices}.")
    return found
