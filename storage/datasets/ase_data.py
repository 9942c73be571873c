"""Frames as `ase.Atoms` with their labels in a `SinglePointCalculator`.

`info` holds `method`, `tier`, `molecule`, `charge` and `multiplicity`. ASE's own units: Å, eV,
eV/Å, and stress in eV/Å³ in Voigt's order.
"""

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.stress import full_3x3_to_voigt_6_stress

from forgefield.storage.datasets.plain_data import PlainFrame, plain_frame
from forgefield.storage.frames import Frames

INFO = ("method", "tier", "molecule", "charge", "multiplicity")


class AseFrames(Sequence[Atoms]):
    """A list of `Atoms` made as they are asked for; a slice of it is another such list."""

    def __init__(self, frames: Frames) -> None:
        self._frames = frames

    def __len__(self) -> int:
        return len(self._frames)

    @overload
    def __getitem__(self, which: int) -> Atoms: ...
    @overload
    def __getitem__(self, which: slice) -> "AseFrames": ...
    def __getitem__(self, which: int | slice) -> "Atoms | AseFrames":
        if isinstance(which, slice):
            return AseFrames(self._frames.select(np.arange(len(self))[which]))
        return to_atoms(plain_frame(self._frames, range(len(self))[which]))


def to_atoms(frame: PlainFrame) -> Atoms:
    """One frame with its labels; periodic along the vectors that aren't zero."""
    cell = frame.get("cell", np.zeros((3, 3)))
    atoms = Atoms(
        numbers=frame["numbers"],
        positions=frame["positions"],
        cell=cell,
        pbc=cell.any(axis=1),
        info={name: frame[name] for name in INFO},
    )
    labels: dict[str, Any] = {"energy": frame["energy"]}
    if "forces" in frame:
        labels["forces"] = frame["forces"]
    if "stress" in frame:
        labels["stress"] = full_3x3_to_voigt_6_stress(frame["stress"])
    atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms
