"""What sGDML asks of frames: one molecule in free space, one method, forces, and room for a matrix.

Legend: `F` frames, `A` atoms. Lengths in Å.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.records import Array

Index = NDArray[np.int64]


def positions(frames: Frames, numbers_A: Index) -> Array:
    """Positions (F, A, 3) of frames that all have these atoms, in this order."""
    same = len(frames.numbers) == len(frames) * len(numbers_A)
    if not same or (frames.numbers.reshape(-1, len(numbers_A)) != numbers_A).any():
        raise InputError(
            f"sGDML takes frames of one molecule, atoms always in the order {numbers_A.tolist()}; "
            "these hold others. Select the frames of that molecule first"
        )
    if not np.isnan(frames.cell_F33).all():
        raise InputError("sGDML takes molecules in free space; these frames have a cell")
    return frames.positions_A3.reshape(len(frames), len(numbers_A), 3)


def need_labels(frames: Frames, name: str) -> None:
    """Raise `InputError` unless there are frames, of one method, all with forces."""
    if not len(frames):
        raise InputError(f"sGDML needs {name} frames and got none; label some first")
    if len(np.unique(frames.method_F)) != 1:
        raise InputError(f"sGDML's {name} frames are of several methods; select those of one")
    if np.isnan(frames.forces_A3).any():
        raise InputError(f"sGDML learns from forces; some {name} frames have none: leave them out")


def need_memory(coordinates: int) -> None:
    """Refuse what would be killed later: the matrix, and a tenth of it for temporary arrays."""
    needed, free = 8 * coordinates**2 * 1.1, _free_bytes()
    if needed > free:
        raise InputError(
            f"sGDML needs {needed / 2**30:.1f} GiB for {coordinates} coordinates of the training "
            f"frames, and {free / 2**30:.1f} GiB are free: train on fewer frames"
        )


def _free_bytes() -> float:
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return float("inf")
    return 1024 * float(text.split("MemAvailable:")[1].split()[0])
