"""Frames as dicts of NumPy arrays, for whoever trains with something else.

A frame is `numbers` (A,), `positions` and `forces` (A, 3), `energy`, `charge`, `multiplicity`,
`method`, `tier`, `molecule`, and where there are any `cell` and `stress` (3, 3). Å, eV, eV/Å,
eV/Å³; forces and the like that a label doesn't have are left out.
"""

from collections.abc import Sequence
from typing import Any, overload

import numpy as np

from forgefield.storage.frames import Frames

PlainFrame = dict[str, Any]


class PlainFrames(Sequence[PlainFrame]):
    """A list of dicts made as they are asked for; a slice of it is another such list."""

    def __init__(self, frames: Frames) -> None:
        self._frames = frames

    def __len__(self) -> int:
        return len(self._frames)

    @overload
    def __getitem__(self, which: int) -> PlainFrame: ...
    @overload
    def __getitem__(self, which: slice) -> "PlainFrames": ...
    def __getitem__(self, which: int | slice) -> "PlainFrame | PlainFrames":
        if isinstance(which, slice):
            return PlainFrames(self._frames.select(np.arange(len(self))[which]))
        return plain_frame(self._frames, range(len(self))[which])


def plain_frame(frames: Frames, frame: int) -> PlainFrame:
    """One frame; the arrays are views."""
    atoms = frames.atoms_of(frame)
    method = frames.methods[frames.method_F[frame]]
    plain: PlainFrame = {
        "numbers": frames.numbers[atoms],
        "positions": frames.positions_A3[atoms],
        "energy": float(frames.energy_F[frame]),
        "charge": int(frames.charge_F[frame]),
        "multiplicity": int(frames.multiplicity_F[frame]),
        "method": method.name,
        "tier": method.tier.value,
        "molecule": frames.molecules[frames.molecule_F[frame]],
    }
    maybe = {
        "forces": frames.forces_A3[atoms],
        "cell": frames.cell_F33[frame],
        "stress": frames.stress_F33[frame],
    }
    return plain | {name: values for name, values in maybe.items() if not np.isnan(values).any()}
