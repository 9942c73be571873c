"""One phase of a stage: what it makes small, and how it ended."""

import math

from forgefield.storage.errors import InputError
from forgefield.storage.units import EV_PER_KELVIN
from forgefield.trainers.fitting.fit import FitResult
from forgefield.trainers.fitting.objectives import Labels, Objective, Scores
from forgefield.trainers.force_field import ForceField
from forgefield.trainers.stages.data import PhaseData
from forgefield.trainers.stages.tasks import Line, Phase, PhaseResult


def objective_of(phase: Phase, force_field: ForceField) -> Objective:
    """What a phase makes small; scores know nothing of a base under the network."""
    if phase.temperature is None:
        return Labels(phase.fit.rho, phase.fit.norm)
    if force_field.base is not None:
        raise InputError("score matching needs the whole force field; leave out the base")
    kT = EV_PER_KELVIN * phase.temperature
    return Scores(kT / force_field.metadata.scale, phase.fit.seed, phase.slices)


def phase_result(data: PhaseData, outcome: FitResult) -> PhaseResult:
    """What a fit on these frames leaves to be told."""
    weights = data.weights
    gamma = math.inf if weights is None else weights.gamma
    return PhaseResult(
        frames=len(data.frames),
        steps=outcome.steps,
        best_step=outcome.best_step,
        validation=_finite(outcome.validation),
        gamma=_finite(gamma),
        median_bias=None if weights is None else weights.median_bias,
        history=tuple(
            Line(step=line.step, loss=line.loss, validation=_finite(line.validation))
            for line in outcome.history
        ),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
