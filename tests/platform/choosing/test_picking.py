"""Choosing: a plane where disagreement is known, the order of wishes, what is never picked."""

from typing import Any

import numpy as np
import pytest

from forgefield.platform.choosing.picking import Pick, choose
from forgefield.platform.choosing.shapes import nearest
from forgefield.storage.errors import InputError
from forgefield.storage.records import Array

NONE = np.empty((0, 2))


def plane(count: int = 400, seed: int = 0) -> Array:
    """Candidates in the unit square, (F, 2)."""
    return np.random.default_rng(seed).uniform(size=(count, 2))


def wished(picks: list[Pick]) -> list[int]:
    """Places in the order of wishes."""
    ordered = sorted(picks, key=lambda pick: pick.rank)
    assert [pick.rank for pick in ordered] == list(range(len(picks)))
    return [pick.place for pick in ordered]


def test_no_place_twice_and_a_larger_batch_holds_the_smaller_one() -> None:
    unsure = np.random.default_rng(5).uniform(size=400)
    small, large = (wished(choose(plane(), unsure, plane(20, 1), n)) for n in (11, 21))
    assert len(set(large)) == 21
    assert large[:11] == small


def test_the_chosen_arm_goes_where_the_committee_is_unsure() -> None:
    """Disagreement only in one corner: every chosen one lies there, spread out."""
    features = plane()
    corner = (features > 0.7).all(axis=1)
    picks = choose(features, np.where(corner, 1.0, 0.0), plane(20, 1), 12)
    assert corner[wished(picks)].all()


def test_each_chosen_one_maximises_the_product() -> None:
    """Greedy by definition: recomputed from nothing at every step."""
    features, labelled = plane(), plane(20, 1)
    unsure = np.random.default_rng(5).uniform(size=400)
    picks = choose(features, unsure, labelled, 20)
    known = labelled
    for place in wished(picks):
        gap_FG = np.linalg.norm(features[:, None] - known[None], axis=2)
        score_F = unsure * gap_FG.min(axis=1)
        assert score_F[place] == pytest.approx(score_F.max())
        known = np.concatenate([known, features[[place]]])


def test_farthest_points_cover_twice_as_well_as_chance() -> None:
    """Without disagreement it is farthest-point sampling: within twice the best covering."""
    features = plane(600)
    chosen = choose(features, np.zeros(600), NONE, 32)
    assert len(chosen) == 32
    reach = nearest(features, features[[pick.place for pick in chosen]]).max()
    blind = [
        nearest(features, features[np.random.default_rng(seed).permutation(600)[:32]]).max()
        for seed in range(20)
    ]
    assert reach < 0.7 * np.median(blind)


def test_known_kept_and_repeated_geometries_are_never_picked() -> None:
    features = np.concatenate([plane(100), plane(100) + 0.003, plane(50, 1), plane(50, 2)])
    unsure = np.linspace(1, 2, 300)
    picks = choose(features, unsure, plane(50, 1), 300, barred_HD=plane(50, 2))
    taken = features[[pick.place for pick in picks]]
    for others in (plane(50, 1), plane(50, 2)):
        assert nearest(taken, others, "largest").min() > 0.01
    gaps = np.abs(taken[:, None] - taken[None]).max(axis=2) + np.eye(len(taken))
    assert gaps.min() > 0.01
    left = np.setdiff1d(np.arange(300), [pick.place for pick in picks])
    known = np.concatenate([taken, plane(50, 1), plane(50, 2)])
    assert nearest(features[left], known, "largest").max() <= 0.01


def test_the_order_is_a_chain_of_neighbours() -> None:
    features = plane()
    picks = choose(features, np.ones(400), NONE, 40)
    path = features[[pick.place for pick in picks]]
    step = np.linalg.norm(np.diff(path, axis=0), axis=1).mean()
    shuffled = np.random.default_rng(0).permutation(path)
    assert step < 0.5 * np.linalg.norm(np.diff(shuffled, axis=0), axis=1).mean()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"disagreement_F": np.ones(3)}, "400 candidates have 3"),
        ({"disagreement_F": np.full(400, np.nan)}, "finite"),
        ({"disagreement_F": np.full(400, -0.5)}, "negative, and one is -0.5"),
        ({"count": -1}, "-1 candidates"),
    ],
)
def test_strange_input_is_refused(change: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"disagreement_F": np.ones(400), "count": 4} | change
    with pytest.raises(InputError, match=message):
        choose(plane(), labelled_GD=NONE, **given)
