"""The sampler against posteriors that are known in closed form."""

import numpy as np
import pytest

from forgefield.platform.forecasting.sampler import draw
from forgefield.storage.records import Array

SIZES = {"particles": 20_000, "kept": 4000}


@pytest.mark.parametrize("noise", [1.0, 0.05, 0.002])
def test_a_linear_observation_gives_its_gaussian_posterior(noise: float) -> None:
    """Prior N(0, 1), seen y = v·z + noise: mean Σvy/s², Σ = (1 + vvᵀ/s²)⁻¹."""
    v_Z, seen = np.array([1.0, -2.0, 0.5, 0.0, 1.0]), 4.0

    def fit(z_PZ: Array) -> Array:
        return np.asarray(-0.5 * ((z_PZ @ v_Z - seen) / noise) ** 2)

    z_PZ = draw(fit, 5, **SIZES, seed=3)
    covariance = np.linalg.inv(np.eye(5) + np.outer(v_Z, v_Z) / noise**2)
    mean = covariance @ v_Z * seen / noise**2
    assert z_PZ.mean(0) == pytest.approx(mean, abs=0.06)
    assert np.cov(z_PZ.T) == pytest.approx(covariance, abs=0.07)
    along = z_PZ @ v_Z
    assert np.std(along) == pytest.approx(np.sqrt(v_Z @ covariance @ v_Z), rel=0.08)


def test_two_modes_are_both_found() -> None:
    def fit(z_PZ: Array) -> Array:
        return np.asarray(-0.5 * ((np.abs(z_PZ[:, 0]) - 1.5) / 0.05) ** 2)

    z_P = draw(fit, 3, **SIZES, seed=1)[:, 0]
    assert np.mean(z_P > 0) == pytest.approx(0.5, abs=0.1)
    assert np.abs(np.abs(z_P) - 1.5).max() < 0.4


def test_a_seed_gives_the_same_draws_and_another_gives_others() -> None:
    def fit(z_PZ: Array) -> Array:
        return np.asarray(-50 * np.sum((z_PZ - 1) ** 2, axis=1))

    first, again, other = (draw(fit, 2, particles=2000, kept=500, seed=s) for s in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
