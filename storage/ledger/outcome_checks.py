"""The last look at a label before it is committed: a broken one becomes a failed attempt."""

import numpy as np

from forgefield.storage.errors import BadConfiguration
from forgefield.storage.records import Failure, Label, Outcome

LONGEST_MESSAGE = 4000


def checked(outcome: Outcome) -> Outcome:
    """The outcome itself, or a `BadConfiguration` failure in the place of an unusable label."""
    if not isinstance(outcome.result, Label):
        return Outcome(outcome.job, _storable(outcome.result))
    complaint = _complaint(outcome.result, len(outcome.job.configuration.numbers))
    if not complaint:
        return outcome
    return Outcome(outcome.job, Failure(BadConfiguration.__name__, complaint))


def _storable(failure: Failure) -> Failure:
    """PostgreSQL keeps no NUL characters, and nobody reads a message of megabytes."""
    return Failure(failure.kind, failure.message.replace("\0", "")[:LONGEST_MESSAGE])


def _complaint(label: Label, atoms: int) -> str:
    if not np.isfinite(label.energy):
        return f"The label's energy is {label.energy} eV."
    if label.forces_A3 is None:
        return ""
    if label.forces_A3.shape != (atoms, 3):
        return f"The label's forces have shape {label.forces_A3.shape}, not ({atoms}, 3)."
    if not np.isfinite(label.forces_A3).all():
        return "The label's forces hold numbers that are not finite."
    return ""
