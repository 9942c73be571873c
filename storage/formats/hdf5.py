"""Frames as HDF5: the columns of `frames.zarr`, each a dataset of the root group.

`numbers`, `positions`, `forces` (A, …), `ptr` (F + 1,) with the first atom of each frame, `energy`,
`charge`, … (F,). Each dataset names its `units` and its axes; the root attribute `forgefield` is
JSON and says what the integers in `method`, `molecule` and `program` mean. No pickles, no strings
of varying length. The newest file format is used, because only there are the metadata checked by
sums; so are all values (Fletcher-32).
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forgefield.storage.errors import InputError
from forgefield.storage.formats import hdf5_child
from forgefield.storage.formats.foreign import ForeignFrames, from_frames
from forgefield.storage.formats.foreign_checks import checked
from forgefield.storage.formats.plain_columns import columns_of, frames_of
from forgefield.storage.formats.safe_files import check_file, read_archive, reading, replacing
from forgefield.storage.formats.watching import Tell, quiet
from forgefield.storage.frame_store.columns import (
    ATOMS_A_CHUNK,
    COLUMNS,
    FORMAT,
    FRAMES_A_CHUNK,
    Column,
)
from forgefield.storage.frames import Frames

ABOUT = "forgefield"
PATIENCE_S, BYTES_A_SECOND = 10.0, 5e6
"""More than any whole file takes to read."""


def write_hdf5(frames: Frames, path: Path | str, tell: Tell = quiet) -> None:
    """Write the frames; raises `InputError` where that isn't possible."""
    values, kinds, about = columns_of(frames)
    with replacing(Path(path), "HDF5") as waiting:
        import h5py

        with h5py.File(waiting, "w", libver="latest") as file:
            file.attrs[ABOUT] = json.dumps(about)
            for done, (name, column) in enumerate(values.items(), start=1):
                _write(file, kinds[name], column)
                tell(len(frames) * done // len(values))


def _write(file: Any, kind: Column, values: NDArray[Any]) -> None:  # noqa: ANN401
    rows = ATOMS_A_CHUNK if kind.axis == "atom" else FRAMES_A_CHUNK
    dataset = file.create_dataset(
        kind.name,
        data=values,
        chunks=(max(1, min(rows, len(values))), *values.shape[1:]),
        compression="gzip",
        compression_opts=1,
        shuffle=True,
        fletcher32=True,
    )
    dataset.attrs["units"] = kind.units
    dataset.attrs["axes"] = json.dumps(kind.dimensions)


def read_hdf5(path: Path) -> ForeignFrames:
    """All frames of a file that `write_hdf5` wrote; raises `InputError` for any other."""
    with reading(path, "HDF5"):
        size = check_file(path)
        columns = _taken_out(path, size)
        about = json.loads(str(columns.pop("about")))
        _check_about(about, list(columns), path)
        check_columns(columns, path)
        return checked(from_frames(frames_of(columns, about)), path)


def _taken_out(path: Path, size: int) -> dict[str, NDArray[Any]]:
    """Arrays by name, read by a process that may crash or hang."""
    import h5py  # noqa: F401

    patience_s = PATIENCE_S + size / BYTES_A_SECOND
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "arrays.npz"
        command = [sys.executable, "-m", hdf5_child.__name__, str(path.absolute()), str(out)]
        try:
            done = subprocess.run(  # noqa: S603
                command, capture_output=True, text=True, check=False, timeout=patience_s
            )
        except subprocess.TimeoutExpired:
            raise ValueError(f"the HDF5 library isn't done after {patience_s:.0f} s") from None
        if done.returncode:
            reason = done.stderr if done.returncode == hdf5_child.REFUSED else ""
            raise ValueError(reason or "the HDF5 library crashes on it")
        return read_archive(out)


def _check_about(about: dict[str, Any], names: list[str], path: Path) -> None:
    lacking = [column.name for column in COLUMNS if column.name not in names]
    if about.get("format") != FORMAT or lacking:
        raise InputError(
            f"{path} is no HDF5 file of Forgefield's: format {about.get('format')} instead of "
            f"{FORMAT}, columns absent: {', '.join(lacking) or 'none'}. Save it as extended XYZ."
        )


def check_columns(columns: dict[str, NDArray[Any]], path: Path) -> None:
    """Raise `InputError` where arrays don't fit each other: shapes, kinds, words out of range."""
    frames, atoms = len(columns["energy"]), len(columns["numbers"])
    lengths = {"frame": frames, "atom": atoms, "edge": frames + 1}
    for column in COLUMNS:
        values = columns[column.name]
        wanted = (lengths[column.axis], *column.inner_shape)
        real = np.dtype(column.dtype).kind == "f"
        if values.shape != wanted or values.dtype.kind not in ("f" if real else "iu"):
            raise InputError(
                f"{path} has {column.name} of {values.dtype} and shape {values.shape}; it must be "
                f"{column.dtype} {wanted}."
            )
    for name in ("method", "molecule", "program", "host", "purpose"):
        if frames and columns[name].min() < 0:
            raise InputError(f"{path} has a {name} of {columns[name].min()}, which means nothing.")
