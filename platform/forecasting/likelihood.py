"""How likely outcomes are under the error model: Gaussian in ln e, with what they have in common.

An outcome scatters around its curve by `model_spread` (the seed, the labels drawn, the formula)
and by `frame_spread`/√F, as F frames are few. Validation frames only ever grow, so two outcomes
share the frames of the smaller set: that part of the noise, times `frame_likeness`, is common to
both, and ten trainings judged on the same four frames say little more about the level than one.

Legend: `P` particles, `K` outcomes, `Z` parameters.
"""

from collections.abc import Callable, Sequence

import numpy as np

from forgefield.platform.forecasting import curves
from forgefield.platform.forecasting.outcomes import Outcome
from forgefield.platform.forecasting.parameters import ErrorModelSettings, Parameters
from forgefield.storage.records import Array


def log_likelihood(
    outcomes: Sequence[Outcome], settings: ErrorModelSettings, atoms: int
) -> Callable[[Array], Array]:
    """Log of p(outcomes | particle) up to a constant, for normals of shape (P, Z)."""
    seen_K = np.log([each.error for each in outcomes])
    whiten_KK = np.linalg.inv(np.linalg.cholesky(covariance(outcomes, settings)))

    def evaluate(normals_PZ: Array) -> Array:
        parameters = Parameters.of(normals_PZ, settings, atoms)
        residual_PK = log_errors(parameters, outcomes) - seen_K
        return np.asarray(-0.5 * np.sum((residual_PK @ whiten_KK.T) ** 2, axis=1))

    return evaluate


def covariance(outcomes: Sequence[Outcome], settings: ErrorModelSettings) -> Array:
    """Covariance of ln e between outcomes, shape (K, K)."""
    frames_K = np.array([each.frames for each in outcomes], dtype=float)
    common_KK = settings.frame_spread**2 / np.maximum.outer(frames_K, frames_K)
    own_K = settings.model_spread**2 + (1 - settings.frame_likeness) * np.diag(common_KK)
    return np.asarray(settings.frame_likeness * common_KK + np.diag(own_K))


def log_errors(parameters: Parameters, outcomes: Sequence[Outcome]) -> Array:
    """Logarithms of every outcome's error by its own kind's curve, shape (P, K)."""
    counts_K3 = curves.as_array([each.counts for each in outcomes])
    logs_PK = np.empty((len(parameters.scratch), len(outcomes)))
    for way in dict.fromkeys((each.kind, each.training) for each in outcomes):
        alike_K = np.array([(each.kind, each.training) == way for each in outcomes])
        logs_PK[:, alike_K] = np.log(curves.error(parameters, counts_K3[alike_K], *way))
    return logs_PK
