"""Frames in an order that labelers can start warm from, and its cut into runs."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from forgefield.labelers.ordering import (
    contiguous_runs,
    distances,
    mean_step,
    similar_geometries,
    similar_order,
)
from forgefield.storage.records import Array, Configuration

FRAMES, ATOMS = 200, 9


@pytest.fixture
def trajectory() -> Array:
    """Slow modes of nine atoms, every frame turned and moved at random."""
    random = np.random.default_rng(3)
    modes_MA3 = random.normal(0, 0.15, (4, ATOMS, 3))
    phases_FM = np.arange(FRAMES)[:, None] * random.uniform(0.01, 0.04, 4)
    shape_A3 = random.normal(0, 1.5, (ATOMS, 3))
    frames_FA3 = shape_A3 + np.einsum("fm,max->fax", np.sin(phases_FM), modes_MA3)
    turns = Rotation.random(FRAMES, random_state=5).as_matrix()
    return np.asarray(frames_FA3 @ turns + random.normal(0, 5, (FRAMES, 1, 3)))


def test_distance_is_kabschs(trajectory: Array) -> None:
    ours_A3, theirs_A3 = (f - f.mean(axis=0) for f in trajectory[[0, 100]])
    _, left = Rotation.align_vectors(ours_A3, theirs_A3)
    found = distances(trajectory[:1], trajectory[100])[0]
    assert found == pytest.approx(left / np.sqrt(ATOMS), abs=1e-6)


def test_a_mirror_image_is_not_the_same(trajectory: Array) -> None:
    turned = trajectory[:1] @ Rotation.from_rotvec([1, 2, 3]).as_matrix()
    assert distances(turned, trajectory[0])[0] < 1e-3
    assert distances(trajectory[:1] * [1, 1, -1], trajectory[0])[0] > 0.3


@pytest.mark.parametrize("shape", ["line", "plane", "point"])
def test_flat_molecules_have_distances_too(shape: str) -> None:
    positions = np.random.default_rng(1).normal(size=(2, 4, 3))
    positions *= {"line": [1, 0, 0], "plane": [1, 1, 0], "point": [0, 0, 0]}[shape]
    turned = positions @ Rotation.from_rotvec([0.3, 1, 2]).as_matrix()
    assert distances(turned, positions).max() < 1e-3


def test_a_shuffled_trajectory_is_put_back_in_order(trajectory: Array) -> None:
    shuffled = np.random.default_rng(0).permutation(FRAMES)
    order = similar_geometries(trajectory[shuffled])
    assert sorted(order) == list(range(FRAMES))
    filed, mixed = mean_step(trajectory), mean_step(trajectory[shuffled])
    ordered = mean_step(trajectory[shuffled][order])
    assert mixed > 5 * filed
    assert ordered < 1.2 * filed


def test_a_trajectory_stays_as_it_is(trajectory: Array) -> None:
    assert similar_geometries(trajectory) == list(range(FRAMES))


def test_molecules_stay_together(trajectory: Array) -> None:
    numbers = [(6,) * ATOMS, (8,) * ATOMS]
    shapes = [
        Configuration(str(n % 2), numbers[n % 2], frame) for n, frame in enumerate(trajectory)
    ]
    order = similar_order(shapes)
    assert sorted(order) == list(range(FRAMES))
    assert [index % 2 for index in order] == [0] * (FRAMES // 2) + [1] * (FRAMES // 2)


def test_runs_are_contiguous_and_of_equal_cost() -> None:
    costs = [10.0] * 10 + [1.0] * 100
    runs = contiguous_runs(costs, 4)
    assert [place for run in runs for place in run] == list(range(110))
    assert [sum(costs[place] for place in run) for run in runs] == pytest.approx([50] * 4, abs=10)
    assert contiguous_runs([], 3) == []
    assert contiguous_runs([1.0], 3) == [range(1)]
    assert [len(run) for run in contiguous_runs([0.0] * 4, 2)] != []
