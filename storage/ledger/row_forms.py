"""Jobs and labels as rows of database tables, and back: the ledger's and the label book's.

Arrays travel as little-endian bytes: species uint8, coordinates and forces float64 (A, 3), cell
and stress float64 (3, 3).
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from sqlalchemy import RowMapping

from forgefield.storage.records import (
    Array,
    Configuration,
    Job,
    Label,
    Method,
    Provenance,
    Purpose,
    Tier,
)
from forgefield.storage.settled_frames import StoredFrame

Row = Mapping[str, Any] | RowMapping


def job_row(key: str, job: Job) -> dict[str, Any]:
    """The columns of `job` that say what it is; its state is not among them."""
    return {
        "key": key,
        "geometry": job.configuration.key(),
        "tier": job.method.tier.value,
        "method": job.method.name,
        "purpose": int(job.purpose),
        **geometry_columns(job.configuration),
    }


def job_of(row: Row) -> Job:
    """The job that `job_row` wrote."""
    method = Method(Tier(row["tier"]), row["method"])
    return Job(configuration_of(row), method, Purpose(row["purpose"]))


def inbox_row(seq: int, key: str, label: Label, cost_micro: int) -> dict[str, Any]:
    """A label as a row of `inbox`."""
    return {"seq": seq, "job": key, **label_columns(label, cost_micro)}


def stored_frame(row: Row) -> StoredFrame:
    """A row of `inbox` joined with its `job`."""
    return StoredFrame(row["seq"], job_of(row), label_of(row), row["cost_micro"])


def geometry_columns(shape: Configuration) -> dict[str, Any]:
    """A configuration as columns."""
    return {
        "molecule": shape.molecule,
        "numbers": bytes(map(int, shape.numbers)),
        "positions": array_bytes(shape.positions_A3),
        "charge": int(shape.charge),
        "multiplicity": int(shape.multiplicity),
        "cell": None if shape.cell_33 is None else array_bytes(shape.cell_33),
    }


def configuration_of(row: Row) -> Configuration:
    """The configuration that `geometry_columns` wrote."""
    return Configuration(
        row["molecule"],
        tuple(row["numbers"]),
        _array(row["positions"]),
        row["charge"],
        row["multiplicity"],
        _optional_array(row["cell"]),
    )


def label_columns(label: Label, cost_micro: int) -> dict[str, Any]:
    """A label and what it cost as columns; times that nobody knows are 0."""
    origin = label.provenance
    return {
        "cost_micro": cost_micro,
        "energy": float(label.energy),
        "forces": None if label.forces_A3 is None else array_bytes(label.forces_A3),
        "stress": None if label.stress_33 is None else array_bytes(label.stress_33),
        "program": origin.program,
        "version": origin.version,
        "host": origin.host,
        "threads": int(origin.threads),
        "wall_s": finite(origin.wall_s),
        "cpu_s": finite(origin.cpu_s),
        "diagnostics": json.dumps({name: float(v) for name, v in origin.diagnostics.items()}),
    }


def label_of(row: Row) -> Label:
    """The label that `label_columns` wrote."""
    origin = Provenance(
        row["program"],
        row["version"],
        row["host"],
        row["threads"],
        row["wall_s"],
        row["cpu_s"],
        json.loads(row["diagnostics"]),
    )
    forces, stress = _optional_array(row["forces"]), _optional_array(row["stress"])
    return Label(row["energy"], forces, origin, stress)


def finite(seconds: float) -> float:
    """Seconds as they are stored: 0 where nobody knows them."""
    return float(seconds) if math.isfinite(seconds) else 0.0


def array_bytes(values: Array) -> bytes:
    """Any array of numbers as little-endian float64 bytes."""
    return np.ascontiguousarray(values, dtype="<f8").tobytes()


def _optional_array(stored: bytes | None) -> Array | None:
    return None if stored is None else _array(stored)


def _array(stored: bytes) -> Array:
    return np.frombuffer(stored, dtype="<f8").reshape(-1, 3).astype(np.float64, copy=False)
