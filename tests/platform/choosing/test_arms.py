"""Arms compared: intervals that cover as often as they say, sentences, correlations."""

from dataclasses import replace

import numpy as np
import pytest
from flat_molecules import frames_of

from forgefield.platform.choosing.arms import compare_arms, errors_before
from forgefield.platform.choosing.picking import Arm
from forgefield.storage.errors import InputError
from forgefield.storage.units import KCAL_PER_MOL_PER_EV
from forgefield.trainers.force_field import ForceField, Metadata
from forgefield.trainers.model_settings import EGNNSettings


def arms(random: int, chosen: int) -> list[Arm]:
    return [Arm.RANDOM] * random + [Arm.CHOSEN] * chosen


@pytest.mark.parametrize(("random", "chosen"), [(6, 5), (12, 30), (25, 40)])
def test_intervals_hold_the_truth_as_often_as_they_say(random: int, chosen: int) -> None:
    """Gamma errors with true means 1 and 1.5: 95 % of 400 intervals hold 0.5, give or take."""
    generator = np.random.default_rng(0)
    held = 0
    for trial in range(400):
        plain, hard = generator.gamma(6, 1 / 6, random), 1.5 * generator.gamma(6, 1 / 6, chosen)
        found = compare_arms(np.concatenate([plain, hard]), arms(random, chosen), seed=trial)
        held += found.difference_kcal.low <= 0.5 <= found.difference_kcal.high
    assert 0.91 < held / 400 < 0.985


def test_harder_easier_and_undecided() -> None:
    generator = np.random.default_rng(1)
    plain = generator.uniform(1, 2, 40)
    by_verdict = {
        "harder": compare_arms(np.concatenate([plain, plain + 1]), arms(40, 40)),
        "easier": compare_arms(np.concatenate([plain + 1, plain]), arms(40, 40)),
        "undecided": compare_arms(np.concatenate([plain, plain[::-1]]), arms(40, 40)),
    }
    for verdict, found in by_verdict.items():
        assert found.verdict == verdict
    said = by_verdict["harder"].sentence()
    assert "by 1.00 kcal/mol/Å more than on the random ones" in said
    assert "40 chosen frames against 40 random ones" in said
    assert "less than" in by_verdict["easier"].sentence()
    assert "no harder frames than chance" in by_verdict["undecided"].sentence()


def test_each_arm_has_its_own_mean() -> None:
    found = compare_arms(np.array([1.0, 2.0, 5.0, 3.0]), arms(2, 2))
    assert found.random is not None
    assert found.chosen is not None
    assert (found.random.error_kcal.value, found.chosen.error_kcal.value) == (1.5, 4.0)
    assert found.difference_kcal.value == 2.5


@pytest.mark.parametrize(("random", "chosen"), [(0, 3), (3, 0), (1, 4), (0, 0)])
def test_too_few_labels_say_nothing(random: int, chosen: int) -> None:
    found = compare_arms(np.arange(1.0, random + chosen + 1), arms(random, chosen))
    assert found.verdict == "undecided"
    assert "nothing can be said" in found.sentence() or "Too few labels" in found.sentence()


def test_whether_the_committee_knew() -> None:
    errors = np.array([1.0, 2.0, 4.0, 8.0])
    knew = compare_arms(errors, arms(2, 2), np.array([0.1, 0.2, 0.3, 0.9]))
    mistook = compare_arms(errors, arms(2, 2), np.array([0.9, 0.3, 0.2, 0.1]))
    assert knew.rank_correlation == pytest.approx(1.0)
    assert mistook.rank_correlation == pytest.approx(-1.0)
    assert np.isnan(compare_arms(errors, arms(2, 2), np.ones(4)).rank_correlation)


def test_errors_need_an_arm_each() -> None:
    with pytest.raises(InputError, match="3 errors for 2 picks"):
        compare_arms(np.ones(3), arms(1, 1))


def test_errors_before_are_per_frame_means_in_kcal() -> None:
    about = Metadata(
        method="m",
        scale=1.0,
        references={1: 0.0, 8: 0.0},
        model=EGNNSettings(layers=2, channels=4, elements=(1, 8)),
    )
    model = ForceField.fresh(about)
    positions = np.random.default_rng(0).normal(size=(3, 3, 3))
    frames = frames_of(np.array([8, 1, 1]), positions, np.zeros(3), np.zeros((3, 3, 3)))
    own_A3 = model.predict(frames)[1]
    shifted = replace(frames, forces_A3=own_A3 + np.repeat([0.1, 0.2, 0.3], 3)[:, None])
    np.testing.assert_allclose(
        errors_before(model, shifted), np.array([0.1, 0.2, 0.3]) * KCAL_PER_MOL_PER_EV, rtol=1e-6
    )
