"""Settled labels: frames on their way from the ledger's inbox into the frame store."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise

import numpy as np

from forgefield.storage.frame_provenance import FrameProvenance, Program
from forgefield.storage.frames import Bytes, Frames
from forgefield.storage.ragged import Integers, index_into, offsets
from forgefield.storage.records import (
    Array,
    Configuration,
    Job,
    Label,
    Method,
    Molecule,
    Provenance,
    Purpose,
    Tier,
    geometry_key,
    job_key,
    rounded,
)
from forgefield.storage.units import from_micro, to_micro

_NO_BOX = np.full((3, 3), np.nan)
_NOWHERE = Provenance("none", "0", "", 0, 0.0, 0.0)
_NO_METHOD = Method(Tier.EMPIRICAL, "unlabelled")


@dataclass(frozen=True, slots=True, eq=False)
class StoredFrame:
    """A settled label on its way into the frame store; `seq` is the ledger's number for it."""

    seq: int
    job: Job
    label: Label
    cost_micro: int


def from_stored(stored: Sequence[StoredFrame]) -> Frames:
    """Flat arrays of settled labels, in their order."""
    jobs = [frame.job for frame in stored]
    shapes = [job.configuration for job in jobs]
    methods, method_F = index_into((), [job.method for job in jobs])
    molecules, molecule_F = index_into((), [shape.molecule for shape in shapes])
    ptr = offsets(_integers([len(shape.numbers) for shape in shapes]))
    positions_A3 = _rows([shape.positions_A3 for shape in shapes])
    geometries = _geometry_keys(shapes, ptr, positions_A3)
    keys = [job_key(job.method, key) for job, key in zip(jobs, geometries, strict=True)]
    return Frames(
        ptr=ptr,
        numbers=_integers(list(chain.from_iterable(shape.numbers for shape in shapes))),
        positions_A3=positions_A3,
        forces_A3=_rows([_forces(frame) for frame in stored]),
        energy_F=np.array([frame.label.energy for frame in stored], dtype=np.float64),
        cell_F33=_boxes([shape.cell_33 for shape in shapes]),
        stress_F33=_boxes([frame.label.stress_33 for frame in stored]),
        method_F=method_F,
        purpose_F=_integers([int(job.purpose) for job in jobs]),
        molecule_F=molecule_F,
        charge_F=_integers([shape.charge for shape in shapes]),
        multiplicity_F=_integers([shape.multiplicity for shape in shapes]),
        seq_F=_integers([frame.seq for frame in stored]),
        cost_F=np.array([from_micro(frame.cost_micro) for frame in stored], dtype=np.float64),
        key_F=_hashes(keys),
        geometry_F=_hashes(geometries),
        methods=methods,
        molecules=molecules,
        provenance=_provenance(stored),
    )


def bare_frames(molecule: Molecule, positions_FA3: Array) -> Frames:
    """Frames of one molecule without labels, to be predicted or compared; hashes mean nothing."""
    job = Job(molecule.at(molecule.positions_A3), _NO_METHOD, Purpose.TRAIN)
    one = from_stored([StoredFrame(1, job, Label(np.nan, None, _NOWHERE), 0)])
    many = one.select(np.zeros(len(positions_FA3), dtype=np.int64))
    return replace(many, positions_A3=positions_FA3.reshape(-1, 3))


def to_stored(frames: Frames, at: int) -> StoredFrame:
    """One frame as it was settled: what `from_stored` was given."""
    atoms = frames.atoms_of(at)
    shape = Configuration(
        frames.molecules[frames.molecule_F[at]],
        tuple(frames.numbers[atoms].tolist()),
        frames.positions_A3[atoms],
        int(frames.charge_F[at]),
        int(frames.multiplicity_F[at]),
        _present(frames.cell_F33[at]),
    )
    method, purpose = frames.methods[frames.method_F[at]], Purpose(int(frames.purpose_F[at]))
    label = Label(
        float(frames.energy_F[at]),
        _present(frames.forces_A3[atoms]),
        _provenance_of(frames.provenance, at),
        _present(frames.stress_F33[at]),
    )
    cost_micro = to_micro(float(frames.cost_F[at]))
    return StoredFrame(int(frames.seq_F[at]), Job(shape, method, purpose), label, cost_micro)


def _provenance_of(origins: FrameProvenance, at: int) -> Provenance:
    program = origins.programs[origins.program_F[at]]
    diagnostics = {
        name: float(values[at])
        for name, values in origins.diagnostics.items()
        if not np.isnan(values[at])
    }
    return Provenance(
        program.name,
        program.version,
        origins.hosts[origins.host_F[at]],
        int(origins.threads_F[at]),
        float(origins.wall_F[at]),
        float(origins.cpu_F[at]),
        diagnostics,
    )


def _present(values: Array) -> Array | None:
    return None if np.isnan(values).all() else values


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


def _geometry_keys(
    shapes: Sequence[Configuration], ptr: Integers, positions_A3: Array
) -> list[str]:
    """The key of each configuration, all coordinates rounded at once."""
    lengths = rounded(positions_A3).tobytes()
    ends = (3 * 8 * ptr).tolist()
    atoms = [lengths[first:end] for first, end in pairwise(ends)]
    cells = [b"" if s.cell_33 is None else rounded(s.cell_33).tobytes() for s in shapes]
    return [geometry_key(s, a + c) for s, a, c in zip(shapes, atoms, cells, strict=True)]


def _forces(frame: StoredFrame) -> Array:
    if frame.label.forces_A3 is None:
        return np.full((len(frame.job.configuration.numbers), 3), np.nan)
    return frame.label.forces_A3


def _integers(values: Sequence[int]) -> Integers:
    return np.array(values, dtype=np.int64)


def _boxes(boxes: Sequence[Array | None]) -> Array:
    filled = [_NO_BOX if box is None else box for box in boxes]
    return np.array(filled, dtype=np.float64).reshape(-1, 3, 3)


def _rows(parts: Sequence[Array]) -> Array:
    return np.concatenate(parts) if parts else np.empty((0, 3))


def _hashes(keys: Sequence[str]) -> Bytes:
    return np.frombuffer(bytes.fromhex("".join(keys)), dtype=np.uint8).reshape(-1, 16)
