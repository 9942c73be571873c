"""Whether lengths are in the unit that the import takes them for: how far apart atoms are.

The nearest atom of an atom is about as far as their covalent radii together, in molecules as in
crystals; a bohr taken for an angstrom makes that 1.9, an angstrom for a bohr 0.53, a nanometre 0.1.
Noble gases and lone atoms say nothing.

Legend of shapes: `A` atoms of a frame, `S` atoms looked at, `X` atoms and their images.
"""

from itertools import product
from pathlib import Path

import numpy as np

from forgefield.storage.errors import InputError
from forgefield.storage.formats.foreign import ForeignFrames
from forgefield.storage.formats.plausible import ESCAPE
from forgefield.storage.formats.units_of_files import LENGTH_UNITS
from forgefield.storage.ragged import Integers
from forgefield.storage.records import Array

_RADII_PM = """
20 31 28 128 96 84 76 71 66 57 58 166 141 121 111 107 105 102 106 203 176 170 160 153 139 139
132 126 124 132 122 122 120 119 120 120 116 220 195 190 175 164 154 147 146 142 139 145 144 142
139 139 138 139 140 244 215 207 204 203 201 199 198 198 196 194 192 192 189 190 187 187 175 170
162 151 144 141 136 136 132 145 146 148 140 150 150 260 221 215 206 200 196 190 187 180 169
"""
RADII_A = np.array([float(word) / 100 for word in _RADII_PM.split()])
"""By atomic number up to curium (Cordero et al., Dalton Trans. 2008, 2832); of 0 none is used."""
NOBLE = (2, 10, 18, 36, 54, 86)
FRAMES, ATOMS = 40, 30
"""Looked at in a file, and in a frame."""
USUAL = (0.7, 1.4)
FITTING = (0.75, 1.35)


def check_lengths(frames: ForeignFrames, unit: str, path: Path) -> None:
    """Raise `InputError` where lengths (Å now, `unit` before) fit in another unit only."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, FRAMES).astype(int)).tolist()
    ratios = [ratio for frame in chosen if np.isfinite(ratio := _nearness(frames, frame))]
    ratio = float(np.median(ratios)) if ratios else 1.0
    if USUAL[0] < ratio < USUAL[1]:
        return
    for other, size in LENGTH_UNITS.items():
        if FITTING[0] < ratio * size / LENGTH_UNITS[unit] < FITTING[1]:
            raise InputError(
                f"Atoms of {path} are {ratio:.3g} times as far apart as bonded ones if lengths are "
                f"in {unit}; in {other} they fit. Say --length-unit {other}, and mend the file "
                f"where it says another. {ESCAPE}"
            )


def _nearness(frames: ForeignFrames, frame: int) -> float:
    """Median distance to the nearest atom over the sum of both radii; NaN where none tells."""
    atoms = frames.atoms_of(frame)
    numbers, positions_A3 = frames.numbers[atoms], frames.positions_A3[atoms]
    telling = np.flatnonzero(~np.isin(numbers, NOBLE) & (numbers < len(RADII_A)))
    if len(numbers) < 2 or not len(telling):
        return np.nan
    looked_S = telling[:: -(-len(telling) // ATOMS)]
    images_X3, of_X = _images(positions_A3, frames.cell_F33[frame])
    steps = images_X3 - images_X3[looked_S][:, None]
    far_SX = np.linalg.norm(steps, axis=2)
    known = np.minimum(numbers, len(RADII_A) - 1)
    ratio_SX = far_SX / (RADII_A[known[looked_S]][:, None] + RADII_A[known[of_X]])
    ratio_SX[of_X == looked_S[:, None]] = np.inf
    return float(np.median(ratio_SX.min(axis=1)))


def _images(positions_A3: Array, cell_33: Array) -> tuple[Array, Integers]:
    """Atoms inside the cell, then their images around it, (X, 3), and which atom each is of."""
    atoms = np.arange(len(positions_A3))
    if np.isnan(cell_33).any():
        return positions_A3, atoms
    inside_A3 = positions_A3 - np.floor(positions_A3 @ np.linalg.pinv(cell_33)) @ cell_33
    ways = [(0, 1, -1) if vector.any() else (0,) for vector in cell_33]
    shifts = np.array(list(product(*ways))) @ cell_33
    return (inside_A3 + shifts[:, None]).reshape(-1, 3), np.tile(atoms, len(shifts))
