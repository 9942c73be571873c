"""Draws from a posterior over standard normals: importance weights, tempered where they collapse.

Prior draws are weighted by as much of the likelihood as leaves half of them effective; that many
survive, move, and take up the next part, until all of it is in (sequential Monte Carlo: Del Moral,
Doucet, Jasra, J. R. Stat. Soc. B 68, 411). Moves are Metropolis steps around the Gaussian that fits
the survivors, which leave the target unchanged; steps of several sizes, so that a poor fit still
mixes. The same seed gives the same draws.

Legend: `P` particles, `Z` parameters.
"""

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

from forgefield.storage.records import Array

EFFECTIVE = 0.5
STEPS = (1.0, 0.6, 0.3, 0.6)
LogLikelihood = Callable[[Array], Array]


def draw(
    log_likelihood: LogLikelihood, dimensions: int, *, particles: int, kept: int, seed: int
) -> Array:
    """`kept` equally weighted draws, shape (P, Z), from the best of `particles` prior ones."""
    rng = np.random.default_rng(seed)
    normals_PZ = rng.standard_normal((particles, dimensions))
    fit_P, heat = log_likelihood(normals_PZ), 0.0
    while heat < 1:
        step = _next_step(fit_P, 1 - heat)
        chosen_P = _survivors(_weights(step * fit_P), kept, rng)
        normals_PZ, fit_P, heat = normals_PZ[chosen_P], fit_P[chosen_P], heat + step
        heat = 1.0 if heat > 1 - 1e-9 else heat
        for size in STEPS:
            normals_PZ, fit_P = _moved(log_likelihood, normals_PZ, fit_P, heat, size, rng)
    return normals_PZ


def _next_step(fit_P: Array, left: float) -> float:
    """How much more of the likelihood keeps half of the particles effective."""

    def excess(step: float) -> float:
        weights_P = _weights(step * fit_P)
        return float(1 / np.sum(weights_P**2)) - EFFECTIVE * len(fit_P)

    return left if excess(left) >= 0 else float(brentq(excess, 0, left, rtol=1e-6))


def _weights(logs_P: Array) -> Array:
    weights_P = np.exp(logs_P - logs_P.max())
    return np.asarray(weights_P / weights_P.sum())


def _survivors(weights_P: Array, count: int, rng: np.random.Generator) -> np.ndarray:
    """Systematic resampling: places of `count` draws."""
    ticks = (np.arange(count) + rng.random()) / count
    return np.searchsorted(np.cumsum(weights_P), ticks).clip(max=len(weights_P) - 1)


def _moved(
    log_likelihood: LogLikelihood,
    normals_PZ: Array,
    fit_P: Array,
    heat: float,
    size: float,
    rng: np.random.Generator,
) -> tuple[Array, Array]:
    """One Metropolis step of every particle (preconditioned Crank–Nicolson)."""
    centre_Z = normals_PZ.mean(0)
    shape_ZZ = np.linalg.cholesky(np.cov(normals_PZ.T) + 1e-9 * np.eye(len(centre_Z)))
    white_PZ = np.linalg.solve(shape_ZZ, (normals_PZ - centre_Z).T).T
    tried_PZ = np.sqrt(1 - size**2) * white_PZ + size * rng.standard_normal(white_PZ.shape)
    new_PZ = centre_Z + tried_PZ @ shape_ZZ.T
    new_fit_P = log_likelihood(new_PZ)
    gain_P = heat * (new_fit_P - fit_P) - _half_square(new_PZ) + _half_square(normals_PZ)
    gain_P += _half_square(tried_PZ) - _half_square(white_PZ)
    taken_P = np.log(rng.random(len(fit_P))) < gain_P
    return np.where(taken_P[:, None], new_PZ, normals_PZ), np.where(taken_P, new_fit_P, fit_P)


def _half_square(vectors_PZ: Array) -> Array:
    return np.asarray(0.5 * np.sum(vectors_PZ**2, axis=1))
