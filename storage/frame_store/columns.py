"""What `frames.zarr` looks like: plain Zarr v3, one flat group, ragged, about 1000 frames a chunk.

Axes: `frame` (F), `edge` (F + 1, offsets into the atom axis), `atom` (A), `xyz` (3), `vector` (3),
`byte` (16). Ids and enums are integers; what they mean stands in the root's `forgefield`
attributes. Some arrays are there only once a frame needs them, filled with NaN (integers: -1) for
all others: `cell` and `stress` of periodic boxes; `withdraws`, by which a row without atoms takes
back the frame of that `seq`; `diagnostic_<name>`, other numbers that labels came with (T1, gaps,
iterations); and `added_<name>`, columns that somebody added later (a bias, a committee's spread).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.core.metadata.v3 import ArrayV3Metadata
from zarr.storage import MemoryStore

from forgefield.storage.frames import FrameProvenance, Frames, Program
from forgefield.storage.records import Method, Purpose, Tier
from forgefield.storage.units import MICRO

FORMAT = 1
FRAMES_A_CHUNK = 1000
ATOMS_A_CHUNK = 20_000
DIAGNOSTIC = "diagnostic_"
ADDED = "added_"
LENGTHS = {"xyz": 3, "vector": 3, "byte": 16}
Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Column:
    """One array of the store; `axis` is `frame`, `edge` or `atom`, `inner` the axes behind it."""

    name: str
    dtype: str
    axis: str = "frame"
    inner: tuple[str, ...] = ()
    units: str = ""

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Names of the axes."""
        return (self.axis, *self.inner)

    @property
    def inner_shape(self) -> tuple[int, ...]:
        """Lengths of the axes behind the first."""
        return tuple(LENGTHS[name] for name in self.inner)

    @property
    def fill(self) -> float:
        """What stands where nothing was written."""
        if self.dtype == "float64":
            return np.nan
        return 0 if self in COLUMNS else -1


COLUMNS = (
    Column("numbers", "uint8", "atom", units="atomic number"),
    Column("positions", "float64", "atom", ("xyz",), "angstrom"),
    Column("forces", "float64", "atom", ("xyz",), "eV/angstrom"),
    Column("energy", "float64", units="eV"),
    Column("method", "int32", units="index into methods"),
    Column("purpose", "int8", units="index into purposes"),
    Column("molecule", "int32", units="index into molecules"),
    Column("charge", "int32", units="elementary charge"),
    Column("multiplicity", "int32", units="2S + 1"),
    Column("seq", "int64", units="sequence number in the ledger"),
    Column("cost_micro", "int64", units="micro core-seconds"),
    Column("key", "uint8", inner=("byte",), units="hash of the job"),
    Column("geometry", "uint8", inner=("byte",), units="hash of the configuration"),
    Column("wall", "float64", units="s"),
    Column("cpu", "float64", units="s"),
    Column("threads", "int32", units="threads"),
    Column("program", "int32", units="index into programs"),
    Column("host", "int32", units="index into hosts"),
    Column("ptr", "int64", "edge", units="first atom of each frame, and the end"),
)
"""In the order of their commit: whoever reads `ptr` first finds all the rest at least as long."""

OPTIONAL = (
    Column("cell", "float64", inner=("vector", "xyz"), units="angstrom"),
    Column("stress", "float64", inner=("vector", "xyz"), units="eV/angstrom^3"),
    Column("withdraws", "int64", units="seq of the frame that this row takes back"),
)


@dataclass(frozen=True, slots=True)
class Vocabularies:
    """What the store's integers mean; they only grow at their ends.

    `added` names the columns that were added later, and the axis of each, `frame` or `atom`.
    """

    methods: tuple[Method, ...] = ()
    molecules: tuple[str, ...] = ()
    programs: tuple[Program, ...] = ()
    hosts: tuple[str, ...] = ()
    added: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, about: Mapping[str, Any]) -> "Vocabularies":
        """From the root's `forgefield` attributes."""
        return cls(
            tuple(Method(Tier(item["tier"]), item["name"]) for item in about["methods"]),
            tuple(about["molecules"]),
            tuple(Program(item["name"], item["version"]) for item in about["programs"]),
            tuple(about["hosts"]),
            dict(about.get("added", {})),
        )


def about_store(identity: str, words: Vocabularies, frames: int, atoms: int) -> dict[str, Any]:
    """The root's `forgefield` attributes."""
    return {
        "format": FORMAT,
        "uuid": identity,
        "frames": frames,
        "atoms": atoms,
        "methods": [{"tier": m.tier.value, "name": m.name} for m in words.methods],
        "molecules": list(words.molecules),
        "programs": [{"name": p.name, "version": p.version} for p in words.programs],
        "hosts": list(words.hosts),
        "added": dict(words.added),
        "purposes": [purpose.name.lower() for purpose in Purpose],
    }


def column_of(name: str) -> Column:
    """The column of an array's name, diagnostics included."""
    known = {column.name: column for column in (*COLUMNS, *OPTIONAL)}
    return known.get(name, Column(name, "float64", units="as its label's program gives it"))


def added_column(name: str, values: NDArray[Any], axis: str, units: str) -> Column:
    """The column for values (F, ...) or (A, ...) that are added to a store afterwards."""
    dtype = "float64" if values.dtype.kind == "f" else "int64"
    inner = {(): (), (3,): ("xyz",), (3, 3): ("vector", "xyz")}[values.shape[1:]]
    return Column(ADDED + name, dtype, axis, inner, units)


def diagnostic_column(name: str) -> str:
    """The array's name for a diagnostic, such as `diagnostic_gap_eV`; other names, other arrays."""
    return DIAGNOSTIC + re.sub(r"\W", lambda sign: f"_x{ord(sign[0]):x}_", name, flags=re.ASCII)


def new_array(column: Column, length: int) -> ArrayV3Metadata:
    """Metadata of an array of `length` fill values; writes nothing."""
    rows = ATOMS_A_CHUNK if column.axis == "atom" else FRAMES_A_CHUNK
    wide = column.inner_shape
    array = zarr.create_array(
        MemoryStore(),
        shape=(length, *wide),
        chunks=(rows, *wide),
        dtype=column.dtype,
        compressors=(ZstdCodec(level=1), Crc32cCodec()),
        fill_value=column.fill,
        dimension_names=column.dimensions,
        attributes={"units": column.units},
    )
    metadata = array.metadata
    if not isinstance(metadata, ArrayV3Metadata):
        raise TypeError(f"Zarr made version {metadata.zarr_format} of {column.name}.")
    return metadata


def to_columns(frames: Frames, pointers: Mapping[str, NDArray[np.int64]], atoms: int) -> Columns:
    """New rows of each array; `pointers` index the store's vocabularies, `atoms` lie before."""
    origin = frames.provenance
    diagnostics = {diagnostic_column(n): values for n, values in origin.diagnostics.items()}
    boxes = {"cell": frames.cell_F33, "stress": frames.stress_F33}
    return {
        "numbers": frames.numbers,
        "positions": frames.positions_A3,
        "forces": frames.forces_A3,
        "energy": frames.energy_F,
        "purpose": frames.purpose_F,
        "charge": frames.charge_F,
        "multiplicity": frames.multiplicity_F,
        "seq": frames.seq_F,
        "cost_micro": np.rint(frames.cost_F * MICRO).astype(np.int64),
        "key": frames.key_F,
        "geometry": frames.geometry_F,
        "wall": origin.wall_F,
        "cpu": origin.cpu_F,
        "threads": origin.threads_F,
        "ptr": frames.ptr[1:] + atoms,
        **{name: values for name, values in boxes.items() if not np.isnan(values).all()},
        **pointers,
        **diagnostics,
    }


def from_columns(columns: Mapping[str, NDArray[Any]], words: Vocabularies) -> Frames:
    """Frames of whole arrays, as they lie in the store."""
    integer = {
        name: values.astype(np.int64)
        for name, values in columns.items()
        if values.dtype.kind == "i" and not name.startswith(ADDED)
    }
    no_box = np.full((len(columns["energy"]), 3, 3), np.nan)
    origin = FrameProvenance(
        wall_F=columns["wall"],
        cpu_F=columns["cpu"],
        threads_F=integer["threads"],
        program_F=integer["program"],
        host_F=integer["host"],
        programs=words.programs,
        hosts=words.hosts,
        diagnostics=_diagnostics(columns),
    )
    return Frames(
        ptr=integer["ptr"],
        numbers=columns["numbers"].astype(np.int64),
        positions_A3=columns["positions"],
        forces_A3=columns["forces"],
        energy_F=columns["energy"],
        cell_F33=columns.get("cell", no_box),
        stress_F33=columns.get("stress", no_box),
        method_F=integer["method"],
        purpose_F=integer["purpose"],
        molecule_F=integer["molecule"],
        charge_F=integer["charge"],
        multiplicity_F=integer["multiplicity"],
        seq_F=integer["seq"],
        cost_F=integer["cost_micro"] / MICRO,
        key_F=columns["key"],
        geometry_F=columns["geometry"],
        methods=words.methods,
        molecules=words.molecules,
        provenance=origin,
        added_F=_added(columns, words, "frame"),
        added_A=_added(columns, words, "atom"),
    )


def _added(
    columns: Mapping[str, NDArray[Any]], words: Vocabularies, axis: str
) -> dict[str, NDArray[Any]]:
    return {name: columns[ADDED + name] for name in words.added if words.added[name] == axis}


def _diagnostics(columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float64]]:
    return {
        name.removeprefix(DIAGNOSTIC): values
        for name, values in columns.items()
        if name.startswith(DIAGNOSTIC)
    }


def names_in_order(names: Sequence[str]) -> list[str]:
    """Array names in the order of their commit, `ptr` last."""
    return sorted(names, key=lambda name: name == "ptr")
