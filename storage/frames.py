"""Frames: labelled configurations in memory, as flat ragged arrays.

Molecules of all sizes lie one after another on one atom axis; frame `i` owns the atoms
`ptr[i]:ptr[i + 1]`. Ids are integers into vocabularies that travel with the arrays.

Legend of shapes: `F` frames, `A` atoms of all frames together. Units: Å, eV, eV/Å, e; costs in
core-seconds, times in seconds. NaN means absent: forces of an energy-only label, a diagnostic
that the method doesn't give.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from forgefield.storage.frame_provenance import (
    FrameProvenance,
    Program,
    concatenate_origins,
    select_origins,
)
from forgefield.storage.ragged import Integers, index_into, merge, offsets
from forgefield.storage.records import Array, Job, Label, Method, Purpose, Tier
from forgefield.storage.units import from_micro

Bytes = NDArray[np.uint8]
Index = NDArray[np.bool_] | Integers

__all__ = [
    "TRAINING_PURPOSES",
    "FrameProvenance",
    "Frames",
    "Program",
    "StoredFrame",
    "from_stored",
    "hex_keys",
]
TRAINING_PURPOSES = (Purpose.CALIBRATION, Purpose.TRAIN, Purpose.VALIDATION)
"""What may be read without saying so; the hold-out must be asked for by name."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredFrame:
    """A settled label on its way into the frame store; `seq` is the ledger's number for it."""

    seq: int
    job: Job
    label: Label
    cost_micro: int


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Labelled configurations, flat and ragged.

    `ptr` (F + 1,), `numbers` (A,), `positions_A3` and `forces_A3` (A, 3); all others (F,), and
    `key_F` (job) and `geometry_F` (configuration) are 16-byte hashes, (F, 16) uint8. `method_F`
    and `molecule_F` are indices into `methods` and `molecules`, `purpose_F` is a `Purpose`.
    """

    ptr: Integers
    numbers: Integers
    positions_A3: Array
    forces_A3: Array
    energy_F: Array
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
            **per_frame,
            **per_atom,
        )

    @classmethod
    def concatenate(cls, parts: Sequence["Frames"]) -> "Frames":
        """All frames of `parts` in their order, their vocabularies merged."""
        if not parts:
            return from_stored([])
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
            **{name: np.concatenate([getattr(p, name) for p in parts]) for name in plain},
        )


FRAME_FIELDS = (
    "energy_F",
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


def from_stored(stored: Sequence[StoredFrame]) -> Frames:
    """Flat arrays of settled labels, in their order."""
    jobs = [frame.job for frame in stored]
    shapes = [job.configuration for job in jobs]
    methods, method_F = index_into((), [job.method for job in jobs])
    molecules, molecule_F = index_into((), [shape.molecule for shape in shapes])
    return Frames(
        ptr=offsets(_integers([len(shape.numbers) for shape in shapes])),
        numbers=_integers([number for shape in shapes for number in shape.numbers]),
        positions_A3=_rows([shape.positions_A3 for shape in shapes]),
        forces_A3=_rows([_forces(frame) for frame in stored]),
        energy_F=np.array([frame.label.energy for frame in stored], dtype=np.float64),
        method_F=method_F,
        purpose_F=_integers([int(job.purpose) for job in jobs]),
        molecule_F=molecule_F,
        charge_F=_integers([shape.charge for shape in shapes]),
        multiplicity_F=_integers([shape.multiplicity for shape in shapes]),
        seq_F=_integers([frame.seq for frame in stored]),
        cost_F=np.array([from_micro(frame.cost_micro) for frame in stored], dtype=np.float64),
        key_F=_hashes([job.key() for job in jobs]),
        geometry_F=_hashes([shape.key() for shape in shapes]),
        methods=methods,
        molecules=molecules,
        provenance=_provenance(stored),
    )


def hex_keys(hashes: Bytes) -> list[str]:
    """Hashes (F, 16) as the hexadecimal keys that jobs and configurations give."""
    return [row.tobytes().hex() for row in hashes]


def _provenance(stored: Sequence[StoredFrame]) -> FrameProvenance:
    origins = [frame.label.provenance for frame in stored]
    programs, program_F = index_into((), [Program(o.program, o.version) for o in origins])
    hosts, host_F = index_into((), [origin.host for origin in origins])
    names = dict.fromkeys(name for origin in origins for name in origin.diagnostics)
    return FrameProvenance(
        wall_F=np.array([origin.wall_s for origin in origins], dtype=np.float64),
        cpu_F=np.array([origin.cpu_s for origin in origins], dtype=np.float64),
        threads_F=_integers([origin.threads for origin in origins]),
        program_F=program_F,
        host_F=host_F,
        programs=programs,
        hosts=hosts,
        diagnostics={
            name: np.array([o.diagnostics.get(name, np.nan) for o in origins], dtype=np.float64)
            for name in names
        },
    )


def _forces(frame: StoredFrame) -> Array:
    if frame.label.forces_A3 is None:
        return np.full((len(frame.job.configuration.numbers), 3), np.nan)
    return frame.label.forces_A3


def _as_index(which: Index, length: int) -> Integers:
    return np.arange(length)[which]


def _integers(values: Sequence[int]) -> Integers:
    return np.array(values, dtype=np.int64)


def _rows(parts: Sequence[Array]) -> Array:
    return np.concatenate(parts) if parts else np.empty((0, 3))


def _hashes(keys: Sequence[str]) -> Bytes:
    return np.frombuffer(bytes.fromhex("".join(keys)), dtype=np.uint8).reshape(-1, 16)
