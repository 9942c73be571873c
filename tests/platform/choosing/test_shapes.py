"""The descriptor: what it is blind to, what it bounds, and how far apart conformers are."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from forgefield.platform.choosing import shapes
from forgefield.platform.choosing.shapes import nearest, shape_features
from forgefield.storage.geometry import pair_distances, sorted_distances
from forgefield.storage.records import Array

NUMBERS = (6, 8, 1, 1, 1)


def geometries(count: int = 30, scale: float = 1.0) -> Array:
    return scale * np.random.default_rng(0).normal(size=(count, len(NUMBERS), 3))


def test_rotation_mirror_shift_and_numbering_change_nothing() -> None:
    first = geometries()
    turn = Rotation.from_rotvec([0.4, -1.0, 2.0]).as_matrix()
    moved = -first[:, [0, 1, 4, 2, 3]] @ turn.T + 7.0
    np.testing.assert_allclose(
        shape_features(NUMBERS, moved), shape_features(NUMBERS, first), atol=1e-12
    )


def test_unlike_atoms_may_not_be_swapped() -> None:
    swapped = geometries()[:, [1, 0, 2, 3, 4]]
    gap = shape_features(NUMBERS, swapped) - shape_features(NUMBERS, geometries())
    assert np.abs(gap).max(axis=1).min() > 1e-3


def test_unlike_here_is_unlike_in_angstrom() -> None:
    """The squeeze never lengthens: a geometry far here has a distance that differs by as much."""
    close = geometries() + np.random.default_rng(1).normal(scale=0.05, size=geometries().shape)
    here = np.abs(shape_features(NUMBERS, close) - shape_features(NUMBERS, geometries()))
    lengths = [sorted_distances(NUMBERS, pair_distances(x)) for x in (close, geometries())]
    assert (here <= np.abs(lengths[0] - lengths[1]) + 1e-12).all()


def test_a_bond_counts_for_more_than_a_far_pair() -> None:
    pair = np.zeros((4, 2, 3))
    pair[:, 1, 0] = [1.0, 1.1, 4.0, 4.1]
    column = shape_features((6, 8), pair)[:, 0]
    assert (column[1] - column[0]) / (column[3] - column[2]) == pytest.approx(np.e, rel=1e-6)


def test_blocks_and_thinning_agree_with_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, others = shape_features(NUMBERS, geometries()), shape_features(NUMBERS, geometries(7))
    near = nearest(whole, others)
    monkeypatch.setattr(shapes, "AT_ONCE", 35)
    np.testing.assert_array_equal(shape_features(NUMBERS, geometries()), whole)
    np.testing.assert_array_equal(nearest(whole, others), near)
    monkeypatch.setattr(shapes, "MOST_COLUMNS", 4)
    np.testing.assert_array_equal(shape_features(NUMBERS, geometries()), whole[:, ::3])


def test_nothing_to_be_near_to() -> None:
    assert np.isinf(nearest(np.ones((3, 2)), np.empty((0, 2)))).all()
    atom = shape_features((2,), np.zeros((3, 1, 3)))
    np.testing.assert_array_equal(nearest(atom, atom[:1]), 0.0)
    assert shape_features((6, 8), np.empty((0, 2, 3))).shape == (0, 1)
