"""Walkers: the distribution of a harmonic well, alarms, broken bonds, each one's own noise."""

from dataclasses import replace

import numpy as np
import pytest

from forgefield.platform.choosing.boundaries import Boundaries, boundaries_of
from forgefield.platform.choosing.walking import Ending, Pace, Walks, walk
from forgefield.storage.errors import InputError
from forgefield.storage.records import Array
from forgefield.storage.units import EV_PER_KELVIN

STIFF = 30.0
REST_A = 1.1
MASSES = np.array([12.0, 1.0])
PACE = Pace(length=400.0, timestep=0.5, friction=0.05, every=20.0)
START = np.array([[0.0, 0.0, 0.0], [REST_A, 0.0, 0.0]])


def spring(positions_WA3: Array) -> Array:
    """A bond, E = STIFF/2 (r − REST)²."""
    gap_W3 = positions_WA3[:, 1] - positions_WA3[:, 0]
    length_W1 = np.linalg.norm(gap_W3, axis=1, keepdims=True)
    pull_W3 = STIFF * (length_W1 - REST_A) * gap_W3 / length_W1
    return np.stack([pull_W3, -pull_W3], axis=1)


def apart(positions_WA3: Array) -> Array:
    return np.asarray(np.linalg.norm(positions_WA3[:, 1] - positions_WA3[:, 0], axis=1))


def agreed(positions_WA3: Array) -> Array:
    return np.zeros(len(positions_WA3))


def run(walkers: int = 6, boundaries: Boundaries | None = None, **change: float) -> Walks:
    bounds = boundaries or boundaries_of((6, 1), START[None], 1.4)
    pace = replace(PACE, **change)
    starts, heat = np.repeat(START[None], walkers, axis=0), np.resize([300.0, 900.0], walkers)
    return walk(spring, apart, bounds, starts, MASSES, heat, pace, seed=4)


def test_atoms_in_a_well_have_the_variance_of_boltzmann() -> None:
    """⟨x²⟩ = kT/k of each coordinate, at a step of a tenth of the period."""
    free = Boundaries(np.array([0.0]), np.array([np.inf]))
    heat = np.repeat([200.0, 600.0], 200)
    pace = Pace(length=600.0, timestep=1.2, friction=0.1, every=6.0)
    found = walk(
        lambda x: -STIFF * x, agreed, free, np.zeros((400, 2, 3)) + 0.01, MASSES, heat, pace, seed=0
    )
    relative_F3 = found.positions_FA3[:, 1] - found.positions_FA3[:, 0]
    for hot in (200.0, 600.0):
        mine = heat[found.walker_F] == hot
        late = np.flatnonzero(mine)[mine.sum() // 4 :]
        assert np.mean(relative_F3[late] ** 2) == pytest.approx(
            2 * EV_PER_KELVIN * hot / STIFF, rel=0.04
        )
    assert np.abs(found.positions_FA3.mean(axis=1)).max() < 1e-12


def test_all_finish_where_nothing_alarms() -> None:
    found = run()
    assert set(found.ending_W) == {Ending.FINISHED}
    np.testing.assert_allclose(found.time_W, 400.0)
    assert len(found.walker_F) == 6 * 20
    assert not found.alarmed_F.any()


def test_the_alarm_ends_a_walk_and_keeps_the_frame_that_rang_it() -> None:
    quiet, found = run(), run(alarm=1.18)
    assert Ending.ALARMED in found.ending_W
    for walker, ending in enumerate(found.ending_W):
        mine = np.flatnonzero(found.walker_F == walker)
        rang = found.alarmed_F[mine]
        assert rang.sum() == (ending == Ending.ALARMED)
        assert not rang[:-1].any()
        assert found.time_W[walker] == pytest.approx(20.0 * len(mine))
        calm = quiet.positions_FA3[quiet.walker_F == walker][: len(mine)]
        np.testing.assert_allclose(found.positions_FA3[mine], calm, atol=1e-12)
    np.testing.assert_allclose(found.disagreement_F, apart(found.positions_FA3))


def test_hopeless_frames_are_not_kept() -> None:
    found = run(alarm=1.16, hopeless=1.18)
    assert found.disagreement_F.max() <= 1.18
    kept = [found.alarmed_F[found.walker_F == place].any() for place in range(6)]
    ended = [ending == Ending.ALARMED for ending in found.ending_W]
    assert sum(kept) < sum(ended)


def test_a_torn_bond_ends_a_walk_and_is_never_seen() -> None:
    tight = Boundaries(np.array([1.0]), np.array([1.2]))
    found = run(40, tight, every=0.5)
    lengths = apart(found.positions_FA3)
    assert lengths.min() > 1.0
    assert lengths.max() < 1.2
    broken = [place for place, ending in enumerate(found.ending_W) if ending == Ending.BROKEN]
    assert len(broken) > 10
    assert (found.time_W[broken] < 400).all()


def test_forces_that_are_no_numbers_end_all_walks() -> None:
    bounds, starts = boundaries_of((6, 1), START[None], 1.4), np.repeat(START[None], 3, axis=0)
    found = walk(
        lambda x: x * np.nan, agreed, bounds, starts, MASSES, np.full(3, 300.0), PACE, seed=0
    )
    assert set(found.ending_W) == {Ending.BROKEN}
    assert len(found.positions_FA3) == 0


def test_walkers_have_noise_of_their_own() -> None:
    few, many = run(3), run(6)
    for walker in range(3):
        mine, same = (w.positions_FA3[w.walker_F == walker] for w in (few, many))
        np.testing.assert_allclose(mine, same, atol=1e-12)
    first, second = (few.positions_FA3[few.walker_F == walker] for walker in (0, 2))
    assert np.abs(first - second).max() > 0.01


def test_no_walkers_walk_nowhere() -> None:
    assert run(0).positions_FA3.shape == (0, 2, 3)


def test_labelled_geometries_are_always_inside() -> None:
    """Even where one of them has a bond twice as long, or two atoms closer, than the others."""
    random = np.random.default_rng(0)
    shapes = np.repeat(START[None], 30, axis=0) + random.normal(scale=0.03, size=(30, 2, 3))
    shapes[3, 1, 0], shapes[4, 1, 0] = 2.4, 0.5
    assert boundaries_of((6, 1), shapes, 1.4).hold(shapes).all()
    plain = boundaries_of((6, 1), START[None], 1.4)
    lengths = np.array([0.5, 0.7, 1.5, 1.6, np.nan, np.inf])
    moved = np.repeat(START[None], 6, axis=0)
    moved[:, 1, 0] = lengths
    assert plain.hold(moved).tolist() == [False, True, True, False, False, False]
    atoms = np.array([[[0.0, 0.0, 1.0]], [[0.0, 0.0, np.nan]]])
    assert boundaries_of((2,), atoms[:1], 1.4).hold(atoms).tolist() == [True, False]


def test_atoms_that_are_not_bonded_may_part() -> None:
    three = np.array([[[0.0, 0, 0], [1.1, 0, 0], [4.0, 0, 0]]])
    far = three.copy()
    far[0, 2, 0] = 9.0
    assert boundaries_of((6, 1, 8), three, 1.4).hold(far).all()


def test_exploring_needs_a_place_to_start() -> None:
    with pytest.raises(InputError, match="0 geometries"):
        boundaries_of((6, 1), np.empty((0, 2, 3)), 1.4)
