"""The frame store's writer: frames at the end, and nothing that was committed ever changes.

A frame that turns out wrong is withdrawn by a row of its own; what is learnt about frames later (a
bias, a committee's spread) is a column of its own, whose values go from absent to a number once. So
every older version of the data stays a slice of this one. One writer at a time, by file lock.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from forgefield.storage.errors import InputError, StorageError
from forgefield.storage.frame_store.columns import (
    Columns,
    Vocabularies,
    added_column,
    column_of,
    to_columns,
)
from forgefield.storage.frame_store.commit import StoreFiles
from forgefield.storage.frame_store.reading import (
    DatasetVersion,
    dataset_version,
    open_group,
    read_columns,
    read_everything,
    standing_rows,
    stored_rows,
)
from forgefield.storage.frames import Bytes, Frames
from forgefield.storage.ragged import Integers, absent, index_into
from forgefield.storage.run_lock import FileLock
from forgefield.storage.settled_frames import StoredFrame, from_stored


class FrameStore:
    """The one writer of a frame store; use `open_for_writing`."""

    def __init__(self, path: Path, lock: FileLock) -> None:
        self._path = path
        self._lock = lock
        self._files = StoreFiles(path)

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
            store._files.open()
        except BaseException:
            lock.release()
            raise
        return store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return int(self._files.about["frames"])

    @property
    def path(self) -> Path:
        """Where the store lies."""
        return self._path

    def close(self) -> None:
        """Let another writer in."""
        self._files.discard()
        self._lock.release()

    def append(self, frames: Sequence[StoredFrame]) -> None:
        """Add frames at the end; they are durable and visible when this returns.

        Raises `StorageError` where the disk refuses; then nothing was added.
        """
        if frames:
            self._append(from_stored(frames), {})

    def withdraw(self, seqs: Mapping[int, int]) -> None:
        """Take frames back: `seqs` gives each withdrawal's own number and the frame's.

        Readers leave withdrawn frames out from then on; a version of before still holds them.
        Raises `StorageError` for a frame that isn't here.
        """
        if not seqs:
            return
        everything = read_everything(self._path)
        rows = {seq: row for row, seq in enumerate(everything.seq_F.tolist())}
        missing = [seq for seq in seqs.values() if seq not in rows]
        if missing:
            raise StorageError(f"{self._path} has no frame {missing[0]} to withdraw.")
        taken = everything.select(np.array([rows[seq] for seq in seqs.values()], dtype=np.int64))
        withdraws = np.array(list(seqs.values()), dtype=np.int64)
        self._append(_without_content(taken, list(seqs)), {"withdraws": withdraws})

    def add_column(self, name: str, values: NDArray[Any], units: str) -> None:
        """Add what was learnt about the frames here: (F, ...) by frame or (A, ...) by atom.

        Behind F or A come nothing, 3 or (3, 3). Floating point, NaN where absent, or integers, -1
        where absent. Adding the same column again fills what was absent. Raises `InputError` where
        a value that is there would change, or the shape doesn't fit.
        """
        self._files.catch_up()
        axis = self._axis_of(name, values)
        column = added_column(name, values, axis, units)
        words = Vocabularies.read(self._files.about)
        if column.name in self._files.arrays:
            self._refuse_change(name, values)
        grown = replace(words, added={**words.added, name: axis})
        with self._disk_errors(f"The column {name!r}"):
            self._files.fill(column, values, grown)

    def rows(self) -> tuple[Integers, Bytes]:
        """`seq` (F,) and job `key` (F, 16) of all rows, hold-out and withdrawals included."""
        self._files.catch_up()
        return stored_rows(self._path)

    def everything(self) -> tuple[Frames, NDArray[np.bool_]]:
        """All rows, and which of them are frames that stand: neither withdrawn nor withdrawals.

        Values for `add_column` have a row for each of all.
        """
        group = open_group(self._path)
        names = [name for name in ("seq", "withdraws") if name in group]
        columns = read_columns(group, names)
        return read_everything(self._path), standing_rows(columns, len(self))

    def version(self, frames: int | None = None) -> DatasetVersion:
        """Version of the first `frames` rows, by default of all."""
        return dataset_version(self._path, frames)

    def _append(self, frames: Frames, more: Columns) -> None:
        self._files.catch_up()
        words, pointers = _grow(Vocabularies.read(self._files.about), frames)
        columns = to_columns(frames, pointers, self._files.about["atoms"]) | more
        kinds = {name: column_of(name) for name in columns}
        with self._disk_errors(f"{len(frames)} frames"):
            self._files.append(columns, words, kinds)

    @contextmanager
    def _disk_errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._files.discard()
            raise StorageError(
                f"{what} could not be written to {self._path}: {error}. Free some "
                "space, or check the permissions; labels stay safe in the ledger meanwhile."
            ) from error

    def _axis_of(self, name: str, values: NDArray[Any]) -> str:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
            raise InputError(f"{name!r} is no name for a column. Use letters, digits and _.")
        sizes = {"frame": len(self), "atom": int(self._files.about["atoms"])}
        axes = [axis for axis, size in sizes.items() if len(values) == size]
        if not axes or values.shape[1:] not in {(), (3,), (3, 3)} or values.dtype.kind not in "fi":
            raise InputError(
                f"The column {name!r} has {values.dtype} values of shape {values.shape}; the store "
                f"has {sizes['frame']} frames and {sizes['atom']} atoms."
            )
        return axes[0]

    def _refuse_change(self, name: str, values: NDArray[Any]) -> None:
        everything = read_everything(self._path)
        old = {**everything.added_F, **everything.added_A}[name]
        same = old.shape == values.shape and (old.dtype.kind == values.dtype.kind)
        there = old != absent(old, 1) if old.dtype.kind == "i" else ~np.isnan(old)
        if not same or not np.array_equal(old[there], values[there]):
            raise InputError(
                f"The column {name!r} would change values that are there. Choose another name, "
                f"such as {name}_2: committed numbers stay as they are."
            )


def _without_content(frames: Frames, seqs: Sequence[int]) -> Frames:
    """Rows like `frames` but without atoms, numbers or cost, under numbers of their own."""
    nothing = np.full(len(frames), np.nan)
    no_box = np.full((len(frames), 3, 3), np.nan)
    no_time = replace(frames.provenance, wall_F=nothing, cpu_F=nothing, diagnostics={})
    return replace(
        frames,
        ptr=np.zeros(len(frames) + 1, dtype=np.int64),
        numbers=frames.numbers[:0],
        positions_A3=frames.positions_A3[:0],
        forces_A3=frames.forces_A3[:0],
        energy_F=nothing,
        cell_F33=no_box,
        stress_F33=no_box,
        seq_F=np.array(seqs, dtype=np.int64),
        cost_F=np.zeros(len(frames)),
        provenance=no_time,
        added_F={},
        added_A={},
    )


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
    return Vocabularies(methods, molecules, programs, hosts, words.added), pointers
