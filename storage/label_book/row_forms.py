"""Entries of the label book as rows, and back; geometries and labels as in the ledger."""

from typing import Any

import numpy as np

from forgefield.storage.label_book.matching import Fingerprint
from forgefield.storage.ledger.row_forms import Row, array_bytes, geometry_columns
from forgefield.storage.records import Job


def job_columns(key: str, job: Job, fingerprint: Fingerprint) -> dict[str, Any]:
    """What an entry says about the question: method and geometry."""
    return {
        "job": key,
        "system": fingerprint.system,
        "bucket": fingerprint.bucket,
        "features": array_bytes(fingerprint.features_K),
        "tier": job.method.tier.value,
        "method": job.method.name,
        **geometry_columns(job.configuration),
    }


def fingerprint_of(row: Row) -> Fingerprint:
    """What the entry is looked up by."""
    return Fingerprint(row["system"], np.frombuffer(row["features"], dtype="<f8"))
