"""Choosing: a plane where disagreement is known, arms, nesting, what is never picked."""

from typing import Any

import numpy as np
import pytest

from forgefield.platform.choosing.picking import Arm, Pick, choose
from forgefield.platform.choosing.shapes import nearest
from forgefield.storage.errors import InputError
from forgefield.storage.records import Array

NONE = np.empty((0, 2))


def plane(count: int = 400, seed: int = 0) -> Array:
    """Candidates in the unit square, (F, 2)."""
    return np.random.default_rng(seed).uniform(size=(count, 2))


def of_arm(picks: list[Pick], arm: Arm) -> list[int]:
    """Places in the order of wishes."""
    mine = sorted((pick for pick in picks if pick.arm == arm), key=lambda pick: pick.rank)
    assert [pick.rank for pick in mine] == list(range(len(mine)))
    return [pick.place for pick in mine]


def test_halves_and_no_place_twice() -> None:
    picks = choose(plane(), np.ones(400), plane(20, 1), 21, seed=3)
    assert len({pick.place for pick in picks}) == 21
    assert (len(of_arm(picks, Arm.RANDOM)), len(of_arm(picks, Arm.CHOSEN))) == (11, 10)


def test_the_random_arm_is_nested_and_blind_to_the_model() -> None:
    features, labelled = plane(), plane(20, 1)
    unsure = np.random.default_rng(5).uniform(size=400)
    arms = [
        of_arm(choose(features, weight, labelled, count, seed=3), Arm.RANDOM)
        for count, weight in ((10, unsure), (11, unsure), (40, unsure), (40, 1 - unsure))
    ]
    assert arms[0] == arms[2][:5]
    assert arms[1] == arms[2][:6]
    assert arms[2] == arms[3]
    other = choose(features, unsure, labelled, 40, seed=4)
    assert of_arm(other, Arm.RANDOM) != arms[2]


def test_the_random_arm_is_fair() -> None:
    """Over seeds it takes each candidate as often as any other."""
    features, unsure = plane(40), np.arange(40.0)
    counts = np.zeros(40)
    for seed in range(600):
        counts[of_arm(choose(features, unsure, NONE, 20, seed=seed), Arm.RANDOM)] += 1
    expected = 600 * 10 / 40
    chi_square = ((counts - expected) ** 2 / (expected * (1 - 10 / 40))).sum() * 39 / 40
    assert chi_square < 80  # 39 degrees of freedom: p = 1e-4


def test_the_chosen_arm_goes_where_the_committee_is_unsure() -> None:
    """Disagreement only in one corner: every chosen one lies there, spread out."""
    features = plane()
    corner = (features > 0.7).all(axis=1)
    picks = choose(features, np.where(corner, 1.0, 0.0), plane(20, 1), 12, seed=0)
    chosen = of_arm(picks, Arm.CHOSEN)
    assert corner[chosen].all()
    assert not corner[of_arm(picks, Arm.RANDOM)].all()


def test_each_chosen_one_maximises_the_product() -> None:
    """Greedy by definition: recomputed from nothing at every step."""
    features, labelled = plane(), plane(20, 1)
    unsure = np.random.default_rng(5).uniform(size=400)
    picks = choose(features, unsure, labelled, 20, seed=3)
    known = np.concatenate([labelled, features[of_arm(picks, Arm.RANDOM)]])
    for place in of_arm(picks, Arm.CHOSEN):
        gap_FG = np.linalg.norm(features[:, None] - known[None], axis=2)
        score_F = unsure * gap_FG.min(axis=1)
        assert score_F[place] == pytest.approx(score_F.max())
        known = np.concatenate([known, features[[place]]])


def test_farthest_points_cover_twice_as_well_as_chance() -> None:
    """Without disagreement it is farthest-point sampling: within twice the best covering."""
    features = plane(600)
    picks = choose(features, np.zeros(600), NONE, 2, seed=0)
    assert len(picks) == 2
    chosen = choose(features, np.zeros(600), NONE, 32, seed=0, random_share=0.0)
    reach = nearest(features, features[[pick.place for pick in chosen]]).max()
    blind = [
        nearest(features, features[np.random.default_rng(seed).permutation(600)[:32]]).max()
        for seed in range(20)
    ]
    assert reach < 0.7 * np.median(blind)


def test_known_kept_and_repeated_geometries_are_never_picked() -> None:
    features = np.concatenate([plane(100), plane(100) + 0.003, plane(50, 1), plane(50, 2)])
    unsure = np.linspace(1, 2, 300)
    picks = choose(features, unsure, plane(50, 1), 300, seed=0, barred_HD=plane(50, 2))
    taken = features[[pick.place for pick in picks]]
    for others in (plane(50, 1), plane(50, 2)):
        assert nearest(taken, others, "largest").min() > 0.01
    gaps = np.abs(taken[:, None] - taken[None]).max(axis=2) + np.eye(len(taken))
    assert gaps.min() > 0.01
    left = np.setdiff1d(np.arange(300), [pick.place for pick in picks])
    known = np.concatenate([taken, plane(50, 1), plane(50, 2)])
    assert nearest(features[left], known, "largest").max() <= 0.01


def test_only_fair_candidates_are_drawn_and_the_rest_is_chosen() -> None:
    fair = np.arange(400) < 4
    picks = choose(plane(), np.ones(400), NONE, 20, seed=1, fair_F=fair)
    assert sorted(of_arm(picks, Arm.RANDOM)) == [0, 1, 2, 3]
    assert len(of_arm(picks, Arm.CHOSEN)) == 16


def test_the_order_is_a_chain_of_neighbours() -> None:
    features = plane()
    picks = choose(features, np.ones(400), NONE, 40, seed=2)
    path = features[[pick.place for pick in picks]]
    step = np.linalg.norm(np.diff(path, axis=0), axis=1).mean()
    shuffled = np.random.default_rng(0).permutation(path)
    assert step < 0.5 * np.linalg.norm(np.diff(shuffled, axis=0), axis=1).mean()


def test_the_same_seed_gives_the_same_picks() -> None:
    both = [choose(plane(), plane()[:, 0], plane(9, 1), 30, seed=8) for _ in range(2)]
    assert repr(both[0]) == repr(both[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"disagreement_F": np.ones(3)}, "400 candidates have 3"),
        ({"disagreement_F": np.full(400, np.nan)}, "finite"),
        ({"disagreement_F": np.full(400, -0.5)}, "negative, and one is -0.5"),
        ({"count": -1}, "-1 candidates"),
        ({"random_share": 1.5}, "share of 1.5"),
    ],
)
def test_strange_input_is_refused(change: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"disagreement_F": np.ones(400), "count": 4, "seed": 0} | change
    with pytest.raises(InputError, match=message):
        choose(plane(), labelled_GD=NONE, **given)
