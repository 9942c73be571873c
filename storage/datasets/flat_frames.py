"""Frames in memory as training reads them: flat arrays, batches cut out by index arithmetic.

Why beside `Frames`: no provenance and no hashes, nothing per frame in Python, so that cutting a
batch of 32 small molecules takes a fifth of a millisecond.

Legend of shapes: `F` frames, `A` atoms of all frames. Units: Å, eV, eV/Å, eV/Å³. NaN means absent:
forces of an energy-only label, the cell of a molecule in free space.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from forgefield.storage.datasets.methods import refuse_several
from forgefield.storage.frames import Frames
from forgefield.storage.ragged import Integers, merge, offsets
from forgefield.storage.records import Method

Reals = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class FlatFrames:
    """Labelled configurations one after another; frame `i` owns the atoms `ptr[i]:ptr[i + 1]`.

    `ptr` (F + 1,), `numbers` (A,), `positions_A3` and `forces_A3` (A, 3), `energy_F`, `seq_F`,
    `charge_F`, `multiplicity_F` and `method_F`, an index into `methods`, (F,); `cell_F33` and
    `stress_F33` (F, 3, 3), `None` where no frame has any.
    """

    ptr: Integers
    numbers: Integers
    positions_A3: Reals
    forces_A3: Reals
    energy_F: Reals
    seq_F: Integers
    charge_F: Integers
    multiplicity_F: Integers
    method_F: Integers
    methods: tuple[Method, ...]
    cell_F33: Reals | None = None
    stress_F33: Reals | None = None

    @classmethod
    def of(
        cls, frames: Frames, dtype: DTypeLike = np.float64, *, several_methods: bool = False
    ) -> Self:
        """From `frames`. Energies stay double: absolute ones need the digits.

        Raises `InputError` for frames of several methods unless they are asked for.
        """
        if not several_methods:
            refuse_several(
                frames.method_F, frames.methods, "Take those of one, as by frames.of_tier(tier)"
            )
        return cls(
            ptr=frames.ptr,
            numbers=frames.numbers,
            positions_A3=frames.positions_A3.astype(dtype, copy=False),
            forces_A3=frames.forces_A3.astype(dtype, copy=False),
            energy_F=frames.energy_F,
            seq_F=frames.seq_F,
            charge_F=frames.charge_F,
            multiplicity_F=frames.multiplicity_F,
            method_F=frames.method_F,
            methods=frames.methods,
            cell_F33=present(frames.cell_F33, dtype),
            stress_F33=present(frames.stress_F33, dtype),
        )

    def __len__(self) -> int:
        return len(self.energy_F)

    @property
    def frame_A(self) -> Integers:  # noqa: N802
        """The frame of each atom, (A,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.ptr))

    def batch(self, index_F: Integers | Sequence[int]) -> "FlatFrames":
        """The frames of an index array, in its order."""
        index = np.asarray(index_F, dtype=np.int64)
        starts = self.ptr.take(index)
        sizes = self.ptr.take(index + 1) - starts
        ptr = offsets(sizes)
        atoms = np.repeat(starts - ptr[:-1], sizes)
        atoms += np.arange(len(atoms))
        return FlatFrames(
            ptr=ptr,
            numbers=self.numbers.take(atoms),
            positions_A3=self.positions_A3.take(atoms, axis=0),
            forces_A3=self.forces_A3.take(atoms, axis=0),
            energy_F=self.energy_F.take(index),
            seq_F=self.seq_F.take(index),
            charge_F=self.charge_F.take(index),
            multiplicity_F=self.multiplicity_F.take(index),
            method_F=self.method_F.take(index),
            methods=self.methods,
            cell_F33=None if self.cell_F33 is None else self.cell_F33.take(index, axis=0),
            stress_F33=None if self.stress_F33 is None else self.stress_F33.take(index, axis=0),
        )

    @classmethod
    def concatenate(cls, parts: Sequence["FlatFrames"]) -> "FlatFrames":
        """All frames of one or more `parts` in their order."""
        if len(parts) == 1:
            return parts[0]
        methods, method_F = merge([(part.methods, part.method_F) for part in parts])
        return cls(
            method_F=method_F,
            methods=methods,
            ptr=offsets(np.concatenate([np.diff(part.ptr) for part in parts])),
            cell_F33=_boxes([(len(part), part.cell_F33) for part in parts]),
            stress_F33=_boxes([(len(part), part.stress_F33) for part in parts]),
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in _PLAIN},
        )


_PLAIN = ("numbers", "positions_A3", "forces_A3", "energy_F", "seq_F", "charge_F", "multiplicity_F")


def present(boxes_F33: Reals, dtype: DTypeLike = np.float64) -> Reals | None:
    """Cells or stresses, or `None` where no frame has any."""
    return None if np.isnan(boxes_F33).all() else boxes_F33.astype(dtype, copy=False)


def _boxes(parts: Sequence[tuple[int, Reals | None]]) -> Reals | None:
    if all(boxes is None for _, boxes in parts):
        return None
    return np.concatenate(
        [np.full((count, 3, 3), np.nan) if boxes is None else boxes for count, boxes in parts]
    )
