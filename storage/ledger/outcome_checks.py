"""The last look at a label before it is committed: a broken one becomes a failed attempt."""

from dataclasses import replace

import numpy as np

from forgefield.storage.errors import BadConfiguration
from forgefield.storage.ledger.money_log import storable
from forgefield.storage.records import Failure, Label, Outcome

LONGEST_MESSAGE = 4000


def checked(outcome: Outcome) -> Outcome:
    """The outcome itself, or a `BadConfiguration` failure in the place of an unusable label."""
    if not isinstance(outcome.result, Label):
        return Outcome(outcome.job, _storable(outcome.result))
    complaint = _complaint(outcome.result, len(outcome.job.configuration.numbers))
    if not complaint:
        return _with_storable_texts(outcome, outcome.result)
    return Outcome(outcome.job, Failure(BadConfiguration.__name__, complaint))


def _storable(failure: Failure) -> Failure:
    """Short enough for a table that people read, and storable anywhere."""
    kind = storable(failure.kind, LONGEST_MESSAGE)
    return Failure(kind, storable(failure.message, LONGEST_MESSAGE))


def _with_storable_texts(outcome: Outcome, label: Label) -> Outcome:
    """The outcome itself, unless its provenance holds text that no database takes."""
    origin = label.provenance
    clean = replace(
        origin,
        program=storable(origin.program, LONGEST_MESSAGE),
        version=storable(origin.version, LONGEST_MESSAGE),
        host=storable(origin.host, LONGEST_MESSAGE),
        diagnostics={storable(n, LONGEST_MESSAGE): v for n, v in origin.diagnostics.items()},
    )
    if clean == origin:
        return outcome
    return Outcome(outcome.job, replace(label, provenance=clean))


def _complaint(label: Label, atoms: int) -> str:
    if not np.isfinite(label.energy):
        return f"The label's energy is {label.energy} eV."
    arrays = (("Forces", label.forces_A3, (atoms, 3)), ("A stress", label.stress_33, (3, 3)))
    for name, values, shape in arrays:
        if values is None:
            continue
        if values.shape != shape:
            return f"{name} of shape {values.shape} came with the label, not {shape}."
        if not np.isfinite(values).all():
            return f"{name} that came with the label hold numbers that are not finite."
    return ""
