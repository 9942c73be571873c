"""Errors and intervals against numbers that are known beforehand."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.units import KCAL_PER_MOL_PER_EV
from forgefield.trainers.evaluation import (
    Comparison,
    Interval,
    compare_forces,
    errors,
    evaluate,
    interval_of_mean,
)
from forgefield.trainers.force_field import ForceField, Metadata
from forgefield.trainers.model_settings import EGNNSettings
from forgefield.trainers.references import reference_energies


def test_errors_are_component_wise_and_energies_are_centred(unseen: Frames) -> None:
    forces = unseen.forces_A3.copy()
    forces[unseen.numbers == 8, 0] += 0.3
    energy = unseen.energy_F + 0.5 + 0.1 * (-1.0) ** np.arange(len(unseen))
    found = errors(energy, forces, unseen)
    kcal = KCAL_PER_MOL_PER_EV
    assert found.frames == 60
    assert found.force_mae_kcal.value == pytest.approx(0.3 / 12 * kcal)
    assert found.force_rmse_kcal.value == pytest.approx((0.09 / 12) ** 0.5 * kcal)
    assert found.energy_mae_kcal.value == pytest.approx(0.5 * kcal)
    assert found.energy_centred_mae_kcal == pytest.approx(0.1 * kcal)
    assert found.element_mae_kcal == pytest.approx({"C": 0, "H": 0, "O": 0.1 * kcal}, abs=1e-12)
    assert found.force_mae_kcal.low == pytest.approx(found.force_mae_kcal.high)


def test_intervals_cover_the_truth_about_as_often_as_they_say(unseen: Frames) -> None:
    """Frames of exponential error with mean 1: 95 % intervals from 60 of them."""
    generator = np.random.default_rng(0)
    hits = 0
    for trial in range(60):
        size = generator.exponential(size=len(unseen))
        forces = unseen.forces_A3 + np.repeat(size, 4)[:, None]
        interval = errors(unseen.energy_F, forces, unseen, seed=trial).force_mae_kcal
        hits += interval.low < KCAL_PER_MOL_PER_EV < interval.high
    assert 50 <= hits <= 60


TRIALS = 1500


@pytest.mark.parametrize("frames", [2, 4, 19, 20, 40])
def test_95_percent_means_95_percent_for_few_frames_too(frames: int) -> None:
    """Near-normal errors of mean 1; a percentile bootstrap covers 0.80 at 4 frames."""
    generator = np.random.default_rng(frames)
    hits = 0
    for trial in range(TRIALS):
        error_F = 1 + 0.3 * generator.normal(size=frames)
        found = interval_of_mean(error_F, np.full(frames, 9.0), seed=trial)
        hits += found.low < 1 < found.high
    assert 0.93 <= hits / TRIALS <= 0.97


def test_unequal_frames_weigh_their_atoms() -> None:
    """Half of the frames have 3 atoms and error 1, half 9 and error 3: 2.5 an atom."""
    generator = np.random.default_rng(5)
    hits = 0
    for _ in range(TRIALS):
        size_F = np.tile([3.0, 9.0], 6)
        error_F = np.tile([1.0, 3.0], 6) + 0.3 * generator.normal(size=12)
        found = interval_of_mean(error_F, size_F)
        assert found.value == pytest.approx((error_F * size_F).sum() / size_F.sum())
        hits += found.low < 2.5 < found.high
    assert hits / TRIALS >= 0.93


def test_intervals_of_four_frames_are_those_of_student(unseen: Frames) -> None:
    few = unseen.select(np.arange(4))
    generator = np.random.default_rng(3)
    hits = dict.fromkeys(("mae", "rmse"), 0)
    kcal = KCAL_PER_MOL_PER_EV
    for _ in range(TRIALS):
        size_F = 1 + 0.2 * generator.normal(size=4)
        found = errors(few.energy_F, few.forces_A3 + np.repeat(size_F, 4)[:, None] / kcal, few)
        t = ttest_1samp(size_F, 0).confidence_interval()
        assert (found.force_mae_kcal.low, found.force_mae_kcal.high) == pytest.approx(tuple(t))
        hits["mae"] += found.force_mae_kcal.low < 1 < found.force_mae_kcal.high
        hits["rmse"] += found.force_rmse_kcal.low < 1.04**0.5 < found.force_rmse_kcal.high
    assert 0.92 <= hits["mae"] / TRIALS <= 0.98
    assert 0.92 <= hits["rmse"] / TRIALS <= 0.98


def test_errors_are_not_below_zero_and_one_frame_tells_no_spread(unseen: Frames) -> None:
    forces = unseen.forces_A3.copy()
    forces[:4] += 1.0
    three = errors(unseen.energy_F, forces, unseen).force_mae_kcal
    assert three.low >= 0
    few = errors(unseen.energy_F[:3], forces[:12], unseen.select(np.arange(3)))
    assert few.force_mae_kcal.low == few.force_rmse_kcal.low == 0
    assert few.force_mae_kcal.value < few.force_mae_kcal.high < np.inf
    one = errors(unseen.energy_F[:1], forces[:4], unseen.select(np.arange(1)))
    assert (one.force_mae_kcal.low, one.force_mae_kcal.high) == (0, np.inf)


def test_the_bootstrap_is_seeded_and_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    error_F = np.random.default_rng(0).exponential(size=30)
    size_F = np.ones(30)
    whole = interval_of_mean(error_F, size_F, seed=1)
    assert interval_of_mean(error_F, size_F, seed=2) != whole
    monkeypatch.setattr("forgefield.trainers.evaluation.intervals.BLOCK", 7 * 30)
    assert interval_of_mean(error_F, size_F, seed=1) == whole


def force_field(frames: Frames, seed: int, scale: float) -> ForceField:
    metadata = Metadata(
        method="m",
        scale=scale,
        references=reference_energies(frames),
        model=EGNNSettings(layers=2, channels=8, elements=(1, 6, 8)),
        seed=seed,
    )
    return ForceField.fresh(metadata)


def compare(first: ForceField, second: ForceField, frames: Frames) -> Comparison:
    return compare_forces(first.predict(frames)[1], second.predict(frames)[1], frames)


def test_comparison_is_paired_and_knows_a_tie(unseen: Frames) -> None:
    small, large = force_field(unseen, 0, 1e-3), force_field(unseen, 0, 1e4)
    verdict = compare(small, large, unseen)
    ours = evaluate(small, unseen).force_mae_kcal.value
    theirs = evaluate(large, unseen).force_mae_kcal.value
    assert verdict.difference_kcal.value == pytest.approx(ours - theirs)
    assert verdict.better == "first"
    assert compare(large, small, unseen).better == "second"
    assert compare(small, small, unseen).better == "undecided"


def test_comparison_of_four_frames_is_students_paired_one(unseen: Frames) -> None:
    few = unseen.select(np.arange(4))
    small, large = force_field(unseen, 0, 1e-3), force_field(unseen, 1, 3.0)
    ours, theirs = (
        np.abs(model.predict(few)[1] - few.forces_A3).reshape(4, 12).mean(axis=1)
        for model in (small, large)
    )
    t = ttest_1samp((ours - theirs) * KCAL_PER_MOL_PER_EV, 0).confidence_interval()
    found = compare(small, large, few).difference_kcal
    assert (found.low, found.high) == pytest.approx(tuple(t))
    one = compare(small, large, unseen.select(np.arange(1)))
    assert one.difference_kcal == Interval(one.difference_kcal.value, -np.inf, np.inf)
    assert one.better == "undecided"


def test_no_frames_are_refused(unseen: Frames) -> None:
    with pytest.raises(InputError, match="at least one frame"):
        errors(np.empty(0), np.empty((0, 3)), unseen.select(np.empty(0, dtype=np.int64)))
