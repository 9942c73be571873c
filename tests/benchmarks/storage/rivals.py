"""Other formats behind one small class each: append durably, load all, read at random.

Each stores positions, forces, energy and atomic numbers, in double precision, and is given what it
is best at: HDF5 flat chunks, LMDB one record a frame and a transaction a batch, ASE one SQLite
transaction a batch. Every append ends on disk (fsync), as ours does. HDF5 and extended XYZ have no
commit: a kill in the middle of an append leaves a torn file.
"""

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import ase.db
import ase.io
import h5py
import lmdb
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from frames_at_hand import NUMBERS, Arrays

ATOMS = len(NUMBERS)


class Rival(ABC):
    """A file of frames; `most` is how many frames are enough to time it."""

    name = ""
    most: int | None = None

    def __init__(self, path: Path) -> None:
        self.path = path

    @abstractmethod
    def append(self, made: Arrays, first: int, last: int) -> None:
        """Add frames from `first` up to before `last`, durably."""

    @abstractmethod
    def load(self) -> Any:
        """Everything, as arrays in memory."""

    def batch(self, index: np.ndarray) -> Any:
        """Frames by index from the file, as arrays; `None` where the format can't."""
        del index

    def close(self) -> None:  # noqa: B027
        """Let go of the file."""


class Hdf5(Rival):
    """h5py, one dataset a quantity."""

    name = "HDF5"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.file = h5py.File(path, "w")
        for name, shape in (("positions", (ATOMS, 3)), ("forces", (ATOMS, 3)), ("energy", ())):
            chunk = (1000, *shape)
            self.file.create_dataset(name, (0, *shape), "f8", maxshape=(None, *shape), chunks=chunk)
        self.file.create_dataset("numbers", (0, ATOMS), "u1", maxshape=(None, ATOMS))

    def append(self, made: Arrays, first: int, last: int) -> None:
        """Add frames, durably."""
        for name in ("positions", "forces", "energy"):
            self._extend(name, getattr(made, name)[first:last])
        self._extend("numbers", np.tile(np.array(NUMBERS, dtype=np.uint8), (last - first, 1)))
        self.file.flush()
        sync(self.path)

    def _extend(self, name: str, values: np.ndarray) -> None:
        dataset = self.file[name]
        dataset.resize(len(dataset) + len(values), axis=0)
        dataset[-len(values) :] = values

    def load(self) -> Any:
        """Everything, as arrays."""
        return [self.file[name][:] for name in ("positions", "forces", "energy", "numbers")]

    def batch(self, index: np.ndarray) -> Any:
        """Frames by index, as arrays."""
        ordered = np.sort(index)
        return [self.file[name][ordered] for name in ("positions", "forces", "energy", "numbers")]

    def close(self) -> None:
        """Close the file."""
        self.file.close()


class Lmdb(Rival):
    """One record of raw bytes a frame."""

    name = "LMDB"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.environment = lmdb.open(str(path), map_size=1 << 34, subdir=False)
        self.numbers = np.array(NUMBERS, dtype=np.float64)

    def append(self, made: Arrays, first: int, last: int) -> None:
        """Add frames, durably."""
        with self.environment.begin(write=True) as transaction:
            for frame in range(first, last):
                parts = (made.positions[frame], made.forces[frame], made.energy[frame : frame + 1])
                record = np.concatenate([self.numbers, *(part.ravel() for part in parts)])
                transaction.put(frame.to_bytes(8, "big"), record.tobytes())

    def load(self) -> Any:
        """Everything, as arrays."""
        with self.environment.begin() as transaction:
            return np.stack([np.frombuffer(record) for _, record in transaction.cursor()])

    def batch(self, index: np.ndarray) -> Any:
        """Frames by index, as arrays."""
        with self.environment.begin() as transaction:
            records = [transaction.get(int(frame).to_bytes(8, "big")) for frame in index]
            return np.stack([np.frombuffer(record) for record in records])

    def close(self) -> None:
        """Close the file."""
        self.environment.close()


class AseDb(Rival):
    """ASE's SQLite database, one row a frame."""

    name = "ASE db"
    most = 2000

    def append(self, made: Arrays, first: int, last: int) -> None:
        """Add frames, durably."""
        with ase.db.connect(self.path, use_lock_file=False) as database:
            for frame in range(first, last):
                database.write(to_atoms(made, frame))

    def load(self) -> Any:
        """Everything, as arrays."""
        with ase.db.connect(self.path) as database:
            return joined([row.toatoms() for row in database.select()])

    def batch(self, index: np.ndarray) -> Any:
        """Frames by index, as arrays."""
        with ase.db.connect(self.path) as database:
            return joined([database.get(int(frame) + 1).toatoms() for frame in index])


class ExtendedXyz(Rival):
    """Text, through `ase.io`; frames can't be found in it without reading it all."""

    name = "extended XYZ"
    most = 2000

    def append(self, made: Arrays, first: int, last: int) -> None:
        """Add frames, durably."""
        atoms = [to_atoms(made, frame) for frame in range(first, last)]
        ase.io.write(self.path, atoms, format="extxyz", append=True)
        sync(self.path)

    def load(self) -> Any:
        """Everything, as arrays."""
        return joined(ase.io.read(self.path, ":", format="extxyz"))


RIVALS = {"h5": Hdf5, "lmdb": Lmdb, "db": AseDb, "xyz": ExtendedXyz}


def to_atoms(made: Arrays, frame: int) -> Atoms:
    """One frame with its labels."""
    atoms = Atoms(NUMBERS, made.positions[frame])
    labels = {"energy": float(made.energy[frame]), "forces": made.forces[frame]}
    atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms


def joined(many: list[Atoms]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions, forces and energies as arrays."""
    return (
        np.stack([atoms.positions for atoms in many]),
        np.stack([atoms.get_forces() for atoms in many]),
        np.array([atoms.get_potential_energy() for atoms in many]),
    )


def sync(path: Path) -> None:
    """Wait until the file is on disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
