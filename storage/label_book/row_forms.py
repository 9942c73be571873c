"""Entries of the label book as rows, and back.

Arrays travel as little-endian float64 bytes; species as uint8.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from sqlalchemy import RowMapping

from forgefield.storage.label_book.matching import Fingerprint
from forgefield.storage.records import Array, Configuration, Job, Label, Provenance

Row = Mapping[str, Any] | RowMapping


def job_columns(key: str, job: Job, fingerprint: Fingerprint) -> dict[str, Any]:
    """What an entry says about the question: method and geometry."""
    shape = job.configuration
    return {
        "job": key,
        "system": fingerprint.system,
        "bucket": fingerprint.bucket,
        "features": _bytes(fingerprint.features_K),
        "tier": job.method.tier.value,
        "method": job.method.name,
        "molecule": shape.molecule,
        "numbers": bytes(map(int, shape.numbers)),
        "charge": int(shape.charge),
        "multiplicity": int(shape.multiplicity),
        "positions": _bytes(shape.positions_A3),
        "cell": _maybe_bytes(shape.cell_33),
    }


def label_columns(label: Label, cost_micro: int) -> dict[str, Any]:
    """What an entry says in answer."""
    origin = label.provenance
    diagnostics = {name: float(value) for name, value in origin.diagnostics.items()}
    return {
        "cost_micro": cost_micro,
        "energy": float(label.energy),
        "forces": _maybe_bytes(label.forces_A3),
        "stress": _maybe_bytes(label.stress_33),
        "program": origin.program,
        "version": origin.version,
        "host": origin.host,
        "threads": int(origin.threads),
        "wall_s": finite(origin.wall_s),
        "cpu_s": finite(origin.cpu_s),
        "diagnostics": json.dumps(diagnostics),
    }


def fingerprint_of(row: Row) -> Fingerprint:
    """What the entry is looked up by."""
    return Fingerprint(row["system"], np.frombuffer(row["features"], dtype="<f8"))


def configuration_of(row: Row) -> Configuration:
    """The entry's geometry."""
    return Configuration(
        row["molecule"],
        tuple(row["numbers"]),
        _rows(row["positions"]),
        row["charge"],
        row["multiplicity"],
        _maybe_rows(row["cell"]),
    )


def label_of(row: Row) -> Label:
    """The label of a done entry, in the frame it was bought in."""
    origin = Provenance(
        row["program"],
        row["version"],
        row["host"],
        row["threads"],
        row["wall_s"],
        row["cpu_s"],
        json.loads(row["diagnostics"]),
    )
    return Label(row["energy"], _maybe_rows(row["forces"]), origin, _maybe_rows(row["stress"]))


def finite(seconds: float) -> float:
    """Seconds as they are stored: 0 where nobody knows them."""
    return float(seconds) if math.isfinite(seconds) else 0.0


def _bytes(values: Array) -> bytes:
    return np.ascontiguousarray(values, dtype="<f8").tobytes()


def _maybe_bytes(values: Array | None) -> bytes | None:
    return None if values is None else _bytes(values)


def _rows(stored: bytes) -> Array:
    return np.frombuffer(stored, dtype="<f8").reshape(-1, 3).astype(np.float64, copy=False)


def _maybe_rows(stored: bytes | None) -> Array | None:
    return None if stored is None else _rows(stored)
