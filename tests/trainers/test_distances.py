"""Errors by distance from what was trained on, and the cosine of forces."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.spatial.transform import Rotation

from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.records import Tier
from forgefield.storage.settled_frames import StoredFrame, from_stored
from forgefield.storage.units import KCAL_PER_MOL_PER_EV
from forgefield.trainers.evaluation import by_distance, distances_to
from forgefield.trainers.evaluation.errors import force_cosine

MakeFrames = Callable[..., list[StoredFrame]]


def sorted_pairs(positions: np.ndarray) -> np.ndarray:
    """Distances C–O, C–H twice, O–H twice, H–H, those of like atoms sorted; by SciPy."""
    co, ch1, ch2, oh1, oh2, hh = pdist(positions)
    return np.array([co, *sorted([ch1, ch2]), *sorted([oh1, oh2]), hh])


def test_distances_are_to_the_nearest_training_frame(accurate: Frames, unseen: Frames) -> None:
    old = np.stack([sorted_pairs(x) for x in accurate.positions_A3.reshape(-1, 4, 3)])
    new = np.stack([sorted_pairs(x) for x in unseen.positions_A3.reshape(-1, 4, 3)])
    every = np.sqrt(((new[:, None] - old[None]) ** 2).mean(axis=2))
    np.testing.assert_allclose(distances_to(accurate, unseen), every.min(axis=1), rtol=1e-10)


def test_distances_dont_change_by_rotation_reflection_and_numbering(
    accurate: Frames, unseen: Frames
) -> None:
    turn = Rotation.from_rotvec([1.0, 0.2, -0.5]).as_matrix() * -1
    order = np.array([0, 1, 3, 2])
    moved = (unseen.positions_A3.reshape(-1, 4, 3)[:, order] @ turn + 3).reshape(-1, 3)
    same = replace(unseen, positions_A3=moved)
    before = distances_to(accurate, unseen)
    np.testing.assert_allclose(distances_to(accurate, same), before, rtol=1e-9)
    np.testing.assert_allclose(distances_to(unseen, same), 0, atol=1e-12)
    shuffled = np.array([3, 1, 0, 2])
    renumbered = replace(
        unseen,
        positions_A3=unseen.positions_A3.reshape(-1, 4, 3)[:, shuffled].reshape(-1, 3),
        numbers=unseen.numbers.reshape(-1, 4)[:, shuffled].ravel(),
    )
    np.testing.assert_allclose(distances_to(accurate, renumbered), before, rtol=1e-9)


def test_other_molecules_are_infinitely_far(accurate: Frames, unseen: Frames) -> None:
    numbers = unseen.numbers.copy()
    numbers[:8] = 1
    strange = replace(unseen, numbers=numbers)
    found = distances_to(accurate, strange)
    assert np.isinf(found[:2]).all()
    assert np.isfinite(found[2:]).all()
    bins = by_distance(unseen.forces_A3, strange, accurate)
    assert (bins[-1].nearest, bins[-1].frames) == (np.inf, 2)
    with pytest.raises(InputError, match="at least one"):
        distances_to(unseen.select(np.arange(0)), unseen)


def test_bins_are_of_equal_frames_and_follow_from_geometry_alone(
    accurate: Frames, unseen: Frames
) -> None:
    """Errors planted to be the distance itself come back as the mean distance of each bin."""
    distance_F = distances_to(accurate, unseen)
    gap = np.repeat(distance_F, 4)[:, None] / KCAL_PER_MOL_PER_EV
    bins = by_distance(unseen.forces_A3 + gap, unseen, accurate)
    ranked = np.sort(distance_F).reshape(5, 12)
    assert [each.frames for each in bins] == [12] * 5
    for each, members in zip(bins, ranked, strict=True):
        assert each.force_mae_kcal.value == pytest.approx(members.mean())
        assert (each.nearest, each.farthest) == pytest.approx((members[0], members[-1]))
        assert each.force_mae_kcal.low < members.mean() < each.force_mae_kcal.high
    other = by_distance(unseen.forces_A3 + 9, unseen, accurate)
    assert [each.farthest for each in other] == [each.farthest for each in bins]
    few = unseen.select(np.arange(9))
    assert len(by_distance(few.forces_A3 + 1, few, accurate)) == 1


def test_many_training_frames_are_searched_in_parts(
    unseen: Frames, make_frames: MakeFrames, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = from_stored(make_frames(Tier.CCSD, 50, 11))
    whole = distances_to(trained, unseen)
    monkeypatch.setattr("forgefield.trainers.evaluation.distances.AT_ONCE", 7 * 50)
    np.testing.assert_allclose(distances_to(trained, unseen), whole, rtol=1e-12)


def test_the_cosine_is_of_directions() -> None:
    random = np.random.default_rng(0)
    forces = random.normal(size=(50, 3))
    forces[0] = 0
    axis = np.cross(forces[1:], random.normal(size=(49, 3)))
    turned = np.zeros_like(forces)
    axis *= 0.6 / np.linalg.norm(axis, axis=1)[:, None]
    turned[1:] = 7 * Rotation.from_rotvec(axis).apply(forces[1:])
    assert force_cosine(turned, forces) == pytest.approx(np.cos(0.6))
    assert force_cosine(-forces, forces) == pytest.approx(-1)
    assert force_cosine(np.zeros_like(forces), forces) == 0
    assert np.isnan(force_cosine(forces, np.zeros_like(forces)))
