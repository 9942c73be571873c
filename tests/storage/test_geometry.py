"""The same geometry, and alike ones: what is found, and what is told apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from forgefield.storage.geometry import (
    SAME_GEOMETRY_A,
    close_pairs,
    distance_features,
    pair_distances,
    sorted_distances,
    superpose,
)
from forgefield.storage.records import Array

SEEDS = st.integers(0, 2**32 - 1)


def cloud(seed: int, atoms: int = 5) -> Array:
    return np.random.default_rng(seed).normal(size=(atoms, 3))


def moved(positions: Array, seed: int) -> tuple[Array, Array]:
    rotation = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    return positions @ rotation + np.array([1.0, -20.0, 300.0]), rotation


@given(SEEDS, st.integers(1, 9))
def test_a_moved_geometry_is_superposed(seed: int, atoms: int) -> None:
    here = cloud(seed, atoms)
    there, _ = moved(here, seed)
    rotation, distance = superpose(here, there)
    assert distance < SAME_GEOMETRY_A / 100
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)


@given(SEEDS)
def test_the_rotation_turns_vectors_on_the_atoms_too(seed: int) -> None:
    here = cloud(seed)
    there, turn = moved(here, seed)
    np.testing.assert_allclose(superpose(here, there)[0], turn, atol=1e-9)


@pytest.mark.parametrize("flat", [1, 2])
def test_linear_and_planar_geometries_get_a_proper_rotation(flat: int) -> None:
    here = cloud(3)
    here[:, flat:] = 0
    there, _ = moved(here, 4)
    rotation, distance = superpose(here, there)
    assert distance < SAME_GEOMETRY_A / 100
    assert np.linalg.det(rotation) == pytest.approx(1.0)


def test_a_mirror_image_is_another_geometry() -> None:
    here = cloud(5)
    assert superpose(here, here * [1, 1, -1])[1] > 0.1
    np.testing.assert_allclose(
        distance_features(here[None]), distance_features((here * [1, 1, -1])[None])
    )


@given(SEEDS)
def test_a_displaced_atom_is_seen(seed: int) -> None:
    here = cloud(seed)
    there, _ = moved(here, seed)
    there[2, 1] += 60 * SAME_GEOMETRY_A  # most of it may pass for a rotation
    assert superpose(here, there)[1] > SAME_GEOMETRY_A


@given(SEEDS, st.floats(0, 0.1))
def test_features_differ_by_no_more_than_any_distance(seed: int, size: float) -> None:
    here = cloud(seed, 7)
    there = here + size * cloud(seed + 1, 7)
    pair = np.stack([here, there])
    distances, features = pair_distances(pair), distance_features(pair)
    most = np.abs(distances[0] - distances[1]).max()
    assert np.abs(features[0] - features[1]).max() <= most + 1e-12


def test_sorted_distances_know_elements_but_not_the_order_of_like_atoms() -> None:
    here = cloud(6, 4)
    swapped, mixed = here[[0, 2, 1, 3]], here[[1, 0, 2, 3]]
    numbers = (8, 1, 1, 6)
    features = sorted_distances(numbers, pair_distances(np.stack([here, swapped, mixed])))
    np.testing.assert_allclose(features[0], features[1])
    assert np.abs(features[0] - features[2]).max() > 0.01


def test_close_pairs_are_those_a_full_comparison_finds() -> None:
    features = np.random.default_rng(7).random((200, 12))
    features[150:] = features[:50] + 0.01 * np.random.default_rng(8).random((50, 12))
    apart = np.abs(features[:, None] - features[None]).max(axis=-1)
    expected = [(i, j) for i, j in np.argwhere(apart <= 0.02) if i < j]
    assert close_pairs(features, 0.02).tolist() == [list(pair) for pair in expected]
    assert len(expected) >= 50
