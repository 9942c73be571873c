"""Calibration and its curve where the answer is known: errors drawn from known σ."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import ndtr, ndtri

from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.records import Array, Purpose, Tier
from forgefield.storage.settled_frames import from_stored
from forgefield.trainers.uncertainty.calibration import (
    calibrate,
    calibrate_gaps,
    folds,
    negative_log_likelihood,
)
from forgefield.trainers.uncertainty.reliability import (
    LEVELS,
    coverage,
    left_out_sigma,
    miscalibration_area,
    reliability,
)

ATOMS = 9


def drawn(
    frames: int, seed: int, scale: float = 3.0, power: float = 1.0
) -> tuple[Array, Array, Array]:
    """Errors (A, 3), disagreement (A,) and sizes of frames: σ = scale·(spread/√3)^power."""
    random = np.random.default_rng(seed)
    spread_A = np.exp(random.normal(-2.0, 0.8, frames * ATOMS)) * 3**0.5
    sigma_A = scale * (spread_A / 3**0.5) ** power
    gap_A3 = sigma_A[:, None] * random.normal(size=(len(spread_A), 3))
    return gap_A3, spread_A, np.full(frames, ATOMS)


def test_the_scale_is_found_and_is_the_maximum_of_the_likelihood() -> None:
    gap_A3, spread_A, size_F = drawn(400, 0)
    found = calibrate_gaps(gap_A3, spread_A, size_F)
    assert found.power == 1.0
    assert found.low < 3.0 < found.high
    assert found.scale == pytest.approx(3.0, rel=0.02)
    raw_A = found.sigma(spread_A) / found.scale
    loss = [
        negative_log_likelihood(gap_A3, raw_A * found.scale * factor).mean()
        for factor in (0.999, 1.0, 1.001)
    ]
    assert loss[1] < min(loss[0], loss[2])
    assert abs(loss[2] - loss[0]) / 2e-3 < 1e-5


@pytest.mark.parametrize("frames", [4, 12, 40])
def test_the_interval_of_the_scale_covers_it_as_often_as_it_says(frames: int) -> None:
    hits = 0
    for seed in range(300):
        found = calibrate_gaps(*drawn(frames, seed), power=1.0)
        hits += found.low < 3.0 < found.high
        assert found.rough == (frames < 10)
    assert 0.91 <= hits / 300 <= 0.99


def test_one_frame_has_no_interval() -> None:
    found = calibrate_gaps(*drawn(1, 0))
    assert (found.low, found.high) == (0.0, np.inf)
    assert found.rough


def test_members_as_likely_as_the_truth_give_the_scale_that_theory_says() -> None:
    """s² = (1 + 1/M)·ν/(ν − 2), ν = 3(M − 1), whatever σ each atom has: 1.44 for five members."""
    random = np.random.default_rng(1)
    sigma_A = np.exp(random.normal(0, 0.3, 90_000))
    draws_MA3 = sigma_A[None, :, None] * random.normal(size=(6, len(sigma_A), 3))
    truth_A3, members_MA3 = draws_MA3[0], draws_MA3[1:]
    spread_A = np.sqrt(members_MA3.var(axis=0, ddof=1).sum(axis=1))
    gap_A3 = members_MA3.mean(axis=0) - truth_A3
    found = calibrate_gaps(gap_A3, spread_A, np.full(10_000, ATOMS), power=1.0)
    assert found.scale**2 == pytest.approx(1.2 * 12 / 10, rel=0.02)


def test_the_power_is_chosen_where_it_helps_and_only_there() -> None:
    flat = calibrate_gaps(*drawn(200, 2, scale=0.5, power=0.4))
    assert flat.power == pytest.approx(0.4, abs=0.05)
    assert flat.scale == pytest.approx(0.5, rel=0.1)
    told_nothing = calibrate_gaps(*drawn(200, 3, scale=0.2, power=0.0))
    assert told_nothing.power == pytest.approx(0.0, abs=0.04)
    few = calibrate_gaps(*drawn(19, 2, scale=0.5, power=0.4))
    assert few.power == 1.0
    kept = [calibrate_gaps(*drawn(30, seed)).power == 1.0 for seed in range(40)]
    assert sum(kept) >= 37


def test_units_change_nothing_but_the_unit() -> None:
    gap_A3, spread_A, size_F = drawn(60, 4, power=0.5)
    one = calibrate_gaps(gap_A3, spread_A, size_F)
    other = calibrate_gaps(23 * gap_A3, 23 * spread_A, size_F)
    assert other.power == pytest.approx(one.power, abs=1e-4)
    np.testing.assert_allclose(other.sigma(23 * spread_A), 23 * one.sigma(spread_A), rtol=1e-3)


def test_agreement_is_no_certainty() -> None:
    gap_A3, spread_A, size_F = drawn(30, 5)
    spread_A[7] = 0.0
    found = calibrate_gaps(gap_A3, spread_A, size_F, power=1.0)
    assert found.sigma(spread_A)[7] == found.scale * found.floor > 0
    with pytest.raises(InputError, match="all members agree everywhere"):
        calibrate_gaps(gap_A3, np.zeros_like(spread_A), size_F)


def test_the_expected_error_of_a_vector() -> None:
    """The mean length of a normal vector of unit σ is √(8/π)."""
    found = calibrate_gaps(*drawn(50, 6))
    lengths = np.linalg.norm(np.random.default_rng(0).normal(size=(200_000, 3)), axis=1)
    ratio = found.expected_force_error(np.ones(1)) / found.sigma(np.ones(1))
    assert ratio[0] == pytest.approx(lengths.mean(), rel=5e-3)


def held(make_frames: object, purpose: Purpose, count: int = 40) -> Frames:
    return from_stored(make_frames(Tier.CCSD, count, 8, purpose))  # type: ignore[operator]


def test_the_hold_out_teaches_nothing(make_frames: object) -> None:
    frames = held(make_frames, Purpose.HOLDOUT)
    with pytest.raises(InputError, match="may not read the hold-out"):
        calibrate(frames.forces_A3 + 0.1, np.ones(len(frames.numbers)), frames)
    frames.forces_A3[0, 0] = np.nan
    with pytest.raises(InputError, match="forces on every frame"):
        calibrate(frames.forces_A3, np.ones(len(frames.numbers)), frames)


def test_right_sigmas_are_found_right(unseen: Frames) -> None:
    random = np.random.default_rng(7)
    sigma_A = np.exp(random.normal(-2.0, 0.8, len(unseen.numbers)))
    forces = unseen.forces_A3 + sigma_A[:, None] * random.normal(size=unseen.forces_A3.shape)
    found = reliability(forces, sigma_A, unseen)
    assert found.miscalibration_area < 0.03
    expected = (0.5 * np.log(2 * np.pi * sigma_A**2) + 0.5).mean()
    assert found.nll == pytest.approx(expected, abs=0.08)
    assert found.nll < found.nll_constant - 0.3
    assert found.sharpness == pytest.approx(np.sqrt((sigma_A**2).mean()))
    assert sum(each.atoms for each in found.bins) == len(sigma_A)
    inside = [each.observed.low < each.predicted < each.observed.high for each in found.bins]
    assert sum(inside) >= len(inside) - 2
    rms = [each.predicted for each in found.bins]
    assert rms == sorted(rms)
    assert found.rank_correlation > 0.6


def test_the_area_of_sigmas_half_as_large_is_the_integral() -> None:
    """Coverage at level p is then 2Φ(z/2) − 1, z the quantile of p."""
    random = np.random.default_rng(8)
    gap_A3, sigma_A = 2 * random.normal(size=(300_000, 3)), np.ones(300_000)
    covered_L = coverage(gap_A3, sigma_A, np.array(LEVELS))
    exact = [2 * ndtr(ndtri((1 + level) / 2) / 2) - 1 for level in LEVELS]
    np.testing.assert_allclose(covered_L, exact, atol=3e-3)
    area = quad(lambda p: p - (2 * ndtr(ndtri((1 + p) / 2) / 2) - 1), 0, 1)[0]
    assert miscalibration_area(np.array(LEVELS), covered_L) == pytest.approx(area, abs=0.01)
    assert miscalibration_area(np.array(LEVELS), np.zeros(19)) == pytest.approx(0.5, abs=0.03)


def test_sigmas_of_left_out_frames_dont_know_their_errors(unseen: Frames) -> None:
    random = np.random.default_rng(9)
    spread_A = np.exp(random.normal(-2.0, 0.8, len(unseen.numbers)))
    gap_A3 = spread_A[:, None] * random.normal(size=unseen.forces_A3.shape)
    before = left_out_sigma(unseen.forces_A3 + gap_A3, spread_A, unseen, power=1.0)
    fold_F = folds(len(unseen), 0)
    own_A = np.repeat(fold_F == fold_F[17], 4)
    gap_A3[17 * 4 : 18 * 4] *= 50
    after = left_out_sigma(unseen.forces_A3 + gap_A3, spread_A, unseen, power=1.0)
    np.testing.assert_array_equal(before[own_A], after[own_A])
    assert (after[~own_A] > 1.2 * before[~own_A]).all()
    assert np.bincount(fold_F).tolist() == [12] * 5
    with pytest.raises(InputError, match="two validation frames"):
        left_out_sigma(gap_A3[:4], spread_A[:4], unseen.select(np.arange(1)))


def test_a_sigma_of_zero_is_refused(unseen: Frames) -> None:
    with pytest.raises(InputError, match="positive everywhere"):
        reliability(unseen.forces_A3, np.zeros(len(unseen.numbers)), unseen)
    same = reliability(unseen.forces_A3 + 0.1, np.ones(len(unseen.numbers)), unseen)
    assert np.isnan(same.rank_correlation)
    assert same.variation == 0
