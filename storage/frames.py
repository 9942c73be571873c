"""Frames: labelled configurations in memory, as flat ragged arrays.

Molecules of all sizes lie one after another on one atom axis; frame `i` owns the atoms
`ptr[i]:ptr[i + 1]`. Ids are integers into vocabularies that travel with the arrays.

Legend of shapes: `F` frames, `A` atoms of all frames together. Units: Å, eV, eV/Å, eV/Å³, e; costs
in core-seconds, times in seconds. NaN means absent: forces of an energy-only label, the cell of a
molecule in free space, a diagnostic that the method doesn't give.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forgefield.storage.frame_provenance import (
    FrameProvenance,
    Program,
    concatenate_origins,
    empty_origins,
    select_origins,
)
from forgefield.storage.ragged import Integers, merge, merge_columns, offsets
from forgefield.storage.records import Array, Method, Purpose, Tier

Bytes = NDArray[np.uint8]
Index = NDArray[np.bool_] | Integers
AddedColumns = Mapping[str, NDArray[Any]]

__all__ = ["TRAINING_PURPOSES", "FrameProvenance", "Frames", "Program", "hex_keys"]
TRAINING_PURPOSES = (Purpose.CALIBRATION, Purpose.TRAIN, Purpose.VALIDATION)
"""What may be read without saying so; the hold-out must be asked for by name."""


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Labelled configurations, flat and ragged.

    `ptr` (F + 1,), `numbers` (A,), `positions_A3` and `forces_A3` (A, 3), `cell_F33` and
    `stress_F33` (F, 3, 3); all others (F,), and `key_F` (job) and `geometry_F` (configuration) are
    16-byte hashes, (F, 16) uint8. `method_F` and `molecule_F` are indices into `methods` and
    `molecules`, `purpose_F` is a `Purpose`. `added_F` and `added_A` hold columns that were added
    to the store after the labels, such as a committee's spread, by name: (F, ...) and (A, ...).
    """

    ptr: Integers
    numbers: Integers
    positions_A3: Array
    forces_A3: Array
    energy_F: Array
    cell_F33: Array
    stress_F33: Array
    method_F: Integers
    purpose_F: Integers
    molecule_F: Integers
    charge_F: Integers
    multiplicity_F: Integers
    seq_F: Integers
    cost_F: Array
    key_F: Bytes
    geometry_F: Bytes
    methods: tuple[Method, ...]
    molecules: tuple[str, ...]
    provenance: FrameProvenance
    added_F: AddedColumns = field(default_factory=dict)
    added_A: AddedColumns = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.energy_F)

    @property
    def wall_F(self) -> Array:  # noqa: N802
        """Wall time of each label in seconds, (F,)."""
        return self.provenance.wall_F

    def diagnostic(self, name: str) -> Array:
        """A diagnostic such as `t1` or `gap`, (F,), NaN where a label has none."""
        return self.provenance.diagnostics.get(name, np.full(len(self), np.nan))

    def atoms_of(self, frame: int) -> slice:
        """Where the atoms of one frame lie on the atom axis."""
        return slice(int(self.ptr[frame]), int(self.ptr[frame + 1]))

    def of_tier(self, tier: Tier) -> "Frames":
        """The frames whose method is of this tier."""
        wanted = [place for place, method in enumerate(self.methods) if method.tier == tier]
        return self.select(np.isin(self.method_F, wanted))

    def of_purpose(self, *purposes: Purpose) -> "Frames":
        """The frames bought for any of these purposes."""
        return self.select(np.isin(self.purpose_F, [int(purpose) for purpose in purposes]))

    def select(self, which: Index) -> "Frames":
        """Frames of a mask (F,) or of an index array, in its order; vocabularies stay."""
        index = _as_index(which, len(self))
        sizes = np.diff(self.ptr)[index]
        ptr = offsets(sizes)
        atoms = np.repeat(self.ptr[:-1][index] - ptr[:-1], sizes) + np.arange(ptr[-1])
        per_frame = {name: getattr(self, name)[index] for name in FRAME_FIELDS}
        per_atom = {name: getattr(self, name)[atoms] for name in ATOM_FIELDS}
        return replace(
            self,
            ptr=ptr,
            provenance=select_origins(self.provenance, index),
            added_F={name: values[index] for name, values in self.added_F.items()},
            added_A={name: values[atoms] for name, values in self.added_A.items()},
            **per_frame,
            **per_atom,
        )

    @classmethod
    def concatenate(cls, parts: Sequence["Frames"]) -> "Frames":
        """All frames of `parts` in their order, their vocabularies merged."""
        if not parts:
            return cls.empty()
        methods, method_F = merge([(p.methods, p.method_F) for p in parts])
        molecules, molecule_F = merge([(p.molecules, p.molecule_F) for p in parts])
        plain = [name for name in (*FRAME_FIELDS, *ATOM_FIELDS) if name not in _POINTERS]
        return cls(
            ptr=offsets(np.concatenate([np.diff(p.ptr) for p in parts])),
            method_F=method_F,
            molecule_F=molecule_F,
            methods=methods,
            molecules=molecules,
            provenance=concatenate_origins([p.provenance for p in parts]),
            added_F=merge_columns([(len(p), p.added_F) for p in parts]),
            added_A=merge_columns([(len(p.numbers), p.added_A) for p in parts]),
            **{name: np.concatenate([getattr(p, name) for p in parts]) for name in plain},
        )

    @classmethod
    def empty(cls) -> "Frames":
        """No frames."""
        none, whole = np.empty(0), np.empty(0, dtype=np.int64)
        vectors, boxes = np.empty((0, 3)), np.empty((0, 3, 3))
        hashes = np.empty((0, 16), dtype=np.uint8)
        return cls(
            ptr=np.zeros(1, dtype=np.int64),
            numbers=whole,
            positions_A3=vectors,
            forces_A3=vectors,
            energy_F=none,
            cell_F33=boxes,
            stress_F33=boxes,
            method_F=whole,
            purpose_F=whole,
            molecule_F=whole,
            charge_F=whole,
            multiplicity_F=whole,
            seq_F=whole,
            cost_F=none,
            key_F=hashes,
            geometry_F=hashes,
            methods=(),
            molecules=(),
            provenance=empty_origins(),
        )


FRAME_FIELDS = (
    "energy_F",
    "cell_F33",
    "stress_F33",
    "method_F",
    "purpose_F",
    "molecule_F",
    "charge_F",
    "multiplicity_F",
    "seq_F",
    "cost_F",
    "key_F",
    "geometry_F",
)
ATOM_FIELDS = ("numbers", "positions_A3", "forces_A3")
_POINTERS = ("method_F", "molecule_F")


def hex_keys(hashes: Bytes) -> list[str]:
    """Hashes (F, 16) as the hexadecimal keys that jobs and configurations give."""
    return [row.tobytes().hex() for row in hashes]


def _as_index(which: Index, length: int) -> Integers:
    return np.arange(length)[which]
