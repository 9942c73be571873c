"""Jobs and labels as rows of the ledger's tables, and back.

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
    shape = job.configuration
    return {
        "key": key,
        "geometry": shape.key(),
        "tier": job.method.tier.value,
        "method": job.method.name,
        "purpose": int(job.purpose),
        "molecule": shape.molecule,
        "numbers": bytes(shape.numbers),
        "positions": _bytes(shape.positions_A3),
        "charge": int(shape.charge),
        "multiplicity": int(shape.multiplicity),
        "cell": _optional_bytes(shape.cell_33),
    }


def job_of(row: Row) -> Job:
    """The job that `job_row` wrote."""
    configuration = Configuration(
        row["molecule"],
        tuple(row["numbers"]),
        _array(row["positions"]),
        row["charge"],
        row["multiplicity"],
        _optional_array(row["cell"]),
    )
    return Job(configuration, Method(Tier(row["tier"]), row["method"]), Purpose(row["purpose"]))


def inbox_row(seq: int, key: str, label: Label, cost_micro: int) -> dict[str, Any]:
    """A label as a row of `inbox`."""
    origin = label.provenance
    return {
        "seq": seq,
        "job": key,
        "cost_micro": cost_micro,
        "energy": float(label.energy),
        "forces": _optional_bytes(label.forces_A3),
        "stress": _optional_bytes(label.stress_33),
        "program": origin.program,
        "version": origin.version,
        "host": origin.host,
        "threads": int(origin.threads),
        "wall_s": _finite(origin.wall_s),
        "cpu_s": _finite(origin.cpu_s),
        "diagnostics": json.dumps({name: float(v) for name, v in origin.diagnostics.items()}),
    }


def stored_frame(row: Row) -> StoredFrame:
    """A row of `inbox` joined with its `job`."""
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
    label = Label(row["energy"], forces, origin, stress)
    return StoredFrame(row["seq"], job_of(row), label, row["cost_micro"])


def _finite(seconds: float) -> float:
    return float(seconds) if math.isfinite(seconds) else 0.0


def _bytes(values: Array) -> bytes:
    return np.ascontiguousarray(values, dtype="<f8").tobytes()


def _optional_bytes(values: Array | None) -> bytes | None:
    return None if values is None else _bytes(values)


def _optional_array(stored: bytes | None) -> Array | None:
    return None if stored is None else _array(stored)


def _array(stored: bytes) -> Array:
    return np.frombuffer(stored, dtype="<f8").reshape(-1, 3).astype(np.float64, copy=False)
