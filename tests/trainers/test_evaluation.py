"""Errors and intervals against numbers that are known beforehand."""

import numpy as np
import pytest

from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.units import KCAL_PER_MOL_PER_EV
from forgefield.trainers.evaluation import compare, errors, evaluate
from forgefield.trainers.force_field import ForceField, Metadata
from forgefield.trainers.references import reference_energies
from forgefield.trainers.settings import EGNNSettings


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
    assert found.energy_centred_mae_kcal.value == pytest.approx(0.1 * kcal)
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


def force_field(frames: Frames, seed: int, scale: float) -> ForceField:
    metadata = Metadata(
        method="m",
        scale=scale,
        references=reference_energies(frames),
        model=EGNNSettings(layers=2, channels=8),
        seed=seed,
    )
    return ForceField.fresh(metadata)


def test_comparison_is_paired_and_knows_a_tie(unseen: Frames) -> None:
    small, large = force_field(unseen, 0, 1e-3), force_field(unseen, 0, 1e4)
    verdict = compare(small, large, unseen)
    ours = evaluate(small, unseen).force_mae_kcal.value
    theirs = evaluate(large, unseen).force_mae_kcal.value
    assert verdict.difference_kcal.value == pytest.approx(ours - theirs)
    assert verdict.better == "first"
    assert compare(large, small, unseen).better == "second"
    assert compare(small, small, unseen).better == "undecided"


def test_no_frames_are_refused(unseen: Frames) -> None:
    with pytest.raises(InputError, match="at least one frame"):
        errors(np.empty(0), np.empty((0, 3)), unseen.select(np.empty(0, dtype=np.int64)))
