"""Whether frames from outside are frames at all: shapes, species, numbers that are numbers.

Legend of shapes: `F` frames, `A` atoms of all frames together.
"""

from pathlib import Path

import numpy as np

from forgefield.storage.errors import InputError
from forgefield.storage.formats.foreign import UNCLEAR_SPIN, UNSTATED, ForeignFrames
from forgefield.storage.ragged import Integers
from forgefield.storage.records import Array

HEAVIEST = 118
LARGEST = 1e12
"""No energy, force or length is larger in any unit; such numbers are bits that flipped."""


def checked(found: ForeignFrames, path: Path) -> ForeignFrames:
    """The frames themselves; raises `InputError` with the file's name, the frame and the value."""
    if not len(found):
        raise InputError(f"{path} holds no frames.")
    _check_shapes(found, path)
    _check_species(found, path)
    frame_A = np.repeat(np.arange(len(found)), np.diff(found.ptr))
    _check_numbers(found.positions_A3, frame_A, "position", path)
    _check_numbers(found.energy_F, np.arange(len(found)), "energy", path)
    _check_optional(found.forces_A3, frame_A, len(found), "force", path)
    _check_optional(found.cell_F33, np.arange(len(found)), len(found), "cell", path)
    _check_optional(found.stress_F33, np.arange(len(found)), len(found), "stress", path)
    _check_stated(found, path)
    return found


def _check_shapes(found: ForeignFrames, path: Path) -> None:
    frames, atoms = len(found), len(found.numbers)
    expected = {
        "ptr": (found.ptr.shape, (frames + 1,)),
        "numbers": (found.numbers.shape, (atoms,)),
        "energies": (found.energy_F.shape, (frames,)),
        "positions": (found.positions_A3.shape, (atoms, 3)),
        "forces": (found.forces_A3.shape, (atoms, 3)),
        "cells": (found.cell_F33.shape, (frames, 3, 3)),
        "stresses": (found.stress_F33.shape, (frames, 3, 3)),
        "charges": (found.charge_F.shape, (frames,)),
        "multiplicities": (found.multiplicity_F.shape, (frames,)),
    }
    for name, (shape, wanted) in expected.items():
        if shape != wanted:
            raise InputError(f"{path} has {name} of shape {shape}; it must be {wanted}.")
    words = (found.molecules, found.methods, found.tiers, found.purposes)
    if any(len(each) != frames for each in words):
        raise InputError(f"{path} doesn't name a molecule and a method for each frame.")
    sizes = np.diff(found.ptr)
    if found.ptr[0] or found.ptr[-1] != atoms or (sizes < 1).any():
        raise InputError(f"{path} has frames without atoms, or atoms without a frame.")


def _check_species(found: ForeignFrames, path: Path) -> None:
    wrong = np.flatnonzero((found.numbers < 1) | (found.numbers > HEAVIEST))
    if len(wrong):
        frame = int(np.searchsorted(found.ptr, wrong[0], side="right")) - 1
        raise InputError(
            f"Frame {frame} of {path} has an atom of number {found.numbers[wrong[0]]}, which is no "
            "element."
        )


def _check_numbers(values: Array, frame_of: Integers, what: str, path: Path) -> None:
    sane = np.isfinite(values) & (np.abs(values) < LARGEST)
    if not sane.all():
        first = tuple(int(place) for place in np.argwhere(~sane)[0])
        raise InputError(
            f"Frame {frame_of[first[0]]} of {path} has a {what} of {values[first]}. Mend it or "
            "leave the frame out."
        )


def _check_optional(values: Array, frame_of: Integers, frames: int, what: str, path: Path) -> None:
    """Each frame has all of it or nothing."""
    rows = values.reshape(len(values), -1)
    absent_F = np.ones(frames, dtype=bool)
    np.logical_and.at(absent_F, frame_of, np.isnan(rows).all(axis=1))
    there = ~absent_F[frame_of]
    _check_numbers(rows[there], frame_of[there], what, path)


def _check_stated(found: ForeignFrames, path: Path) -> None:
    wrong = (np.abs(found.charge_F) > 1000) & (found.charge_F != UNSTATED)
    stated = found.multiplicity_F != UNCLEAR_SPIN
    wrong |= stated & (found.multiplicity_F < 0) | (found.multiplicity_F > 1000)
    if wrong.any():
        frame = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"Frame {frame} of {path} has charge {found.charge_F[frame]} and multiplicity "
            f"{found.multiplicity_F[frame]}, which no molecule has."
        )
