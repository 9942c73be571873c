"""Frames on their way to other programs, and their predictions on the way back.

Legend: `F` frames, `A` atoms. Units: Å, eV, eV/Å.
"""

import hashlib
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from forgefield.storage.elements import SYMBOLS
from forgefield.storage.errors import InputError
from forgefield.storage.formats.extended_xyz import write_extended_xyz
from forgefield.storage.frames import Frames
from forgefield.storage.records import Array

FILES = {"training": "train.xyz", "validation": "validation.xyz"}


def write_labelled(frames: Frames, path: Path, what: str) -> None:
    """Extended XYZ with energies and forces; `InputError` where there are none, or of two methods.

    Columns that were added to the frames don't go along.
    """
    if not len(frames):
        raise InputError(f"there are no {what} frames to hand over; label some first")
    if len(np.unique(frames.method_F)) != 1:
        raise InputError(f"the {what} frames are of several methods; select those of one")
    if not np.isfinite(frames.forces_A3).all():
        raise InputError(f"some {what} frames have no forces; leave them out")
    write_extended_xyz(replace(frames, added_F={}, added_A={}), path)


def own_folder(folder: Path, train: Frames, validation: Frames, *rest: bytes) -> Path:
    """The folder of one training alone, below `folder`, with its frames in `FILES`.

    Named by a hash of these frames and of all else (`rest`) that the training depends on, so that
    one that was interrupted goes on and another never takes its checkpoints for its own.
    """
    digest = hashlib.blake2b(digest_size=8)
    for each in rest:
        digest.update(each + b"|")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        partial = Path(scratch)
        for frames, name in ((train, "training"), (validation, "validation")):
            write_labelled(frames, partial / FILES[name], name)
            digest.update(b"|" + (partial / FILES[name]).read_bytes())
        own = folder / digest.hexdigest()
        own.mkdir(exist_ok=True)
        for name in FILES.values():
            (partial / name).replace(own / name)
    return own


def write_shapes(frames: Frames, path: Path) -> None:
    """Extended XYZ of geometries alone: nothing that predicts from it can see a label."""
    bare = replace(
        frames,
        energy_F=np.zeros_like(frames.energy_F),
        forces_A3=np.full_like(frames.forces_A3, np.nan),
        stress_F33=np.full_like(frames.stress_F33, np.nan),
        added_F={},
        added_A={},
    )
    write_extended_xyz(bare, path)


def checked(energy_F: Array, forces_A3: Array, frames: Frames, program: str) -> tuple[Array, Array]:
    """Predictions as float64; `InputError` where they aren't finite or of these frames."""
    energy_F, forces_A3 = np.asarray(energy_F, float), np.asarray(forces_A3, float)
    if energy_F.shape != frames.energy_F.shape or forces_A3.shape != frames.positions_A3.shape:
        raise InputError(
            f"{program} gave energies {energy_F.shape} and forces {forces_A3.shape} for "
            f"{len(frames)} frames of {len(frames.numbers)} atoms; is the model one of energies?"
        )
    if not (np.isfinite(energy_F).all() and np.isfinite(forces_A3).all()):
        raise InputError(f"{program} predicts numbers that aren't finite: train it again")
    return energy_F, forces_A3


def symbols(frames: Frames) -> list[str]:
    """The elements that occur, by atomic number."""
    return [SYMBOLS[number] for number in sorted(set(frames.numbers.tolist()))]


def existing(path: Path, what: str) -> Path:
    """The absolute path of a file that is there; `InputError` otherwise."""
    if not path.is_file():
        raise InputError(f"there is no {what} at {path}; give the file's path")
    return path.resolve()
