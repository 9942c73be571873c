"""A round's choice: both arms, nothing that judges, and files where labels come from files."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from graphs_at_hand import CUTOFF
from spring_campaign import MOLECULE, make_campaign, recipe_with
from spring_frames import NUMBERS

from forgefield.platform.choosing.candidates import Explored
from forgefield.platform.choosing.exploring import explore
from forgefield.platform.choosing.picking import ALIKE_A, Arm
from forgefield.platform.choosing.settings import ExploreSettings
from forgefield.platform.choosing.shapes import nearest, shape_features
from forgefield.platform.forecasting.counts import Counts
from forgefield.platform.interrupts import Interrupted
from forgefield.platform.rounds import candidates
from forgefield.platform.rounds.candidates import Scene, random_choice, round_choice
from forgefield.platform.rounds.choices import Choice, Wanted, jobs_of
from forgefield.platform.rounds.supply import Supply
from forgefield.storage.frames import Frames
from forgefield.storage.records import Job, Purpose, Tier
from forgefield.storage.settled_frames import StoredFrame, from_stored
from forgefield.storage.testing import labelled
from forgefield.trainers.force_field import ForceField, Metadata
from forgefield.trainers.model_settings import EGNNSettings

MODEL = EGNNSettings(layers=1, channels=8, radial=6, cutoff=CUTOFF, elements=(1, 6, 8))
BUY = Counts(6, 8)


def member(seed: int) -> ForceField:
    about = Metadata(
        method="springs", scale=1.0, references={1: 0.0, 6: 0.0, 8: 0.0}, model=MODEL, seed=seed
    )
    return ForceField.fresh(about)


def frames_of_jobs(jobs: list[Job]) -> Frames:
    stored = [
        StoredFrame(at, job, labelled(job).result, 1000)  # type: ignore[arg-type]
        for at, job in enumerate(jobs, 1)
    ]
    return from_stored(stored)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    _, plan, pool = make_campaign(tmp_path_factory.mktemp("scene"), "80ccsd", recipe_with())
    supply = Supply.of(pool, plan, lambda _: ())
    known = random_choice(supply, Counts(5, 5), frozenset())
    jobs = [*jobs_of(known, MOLECULE, supply.methods(plan))]
    judging = [job for order in supply.firm for job in order.jobs if job.purpose != Purpose.TRAIN]
    seen = [job for job in judging if job.purpose == Purpose.VALIDATION]
    return Scene(
        molecule=MOLECULE,
        supply=supply,
        frames=frames_of_jobs([*jobs, *seen]),
        members=(member(0), member(1)),
        settings=ExploreSettings(
            walkers=2, temperatures=(300.0,), length=5.0, every=2.5, modes=10, pool=50
        ),
        taken=frozenset(job.key() for job in jobs),
        ahead=(),
        seed=3,
    )


def positions(scene: Scene, tier: Tier) -> set[bytes]:
    return {job.configuration.positions_A3.tobytes() for job in scene.supply.jobs[tier]}


def test_half_is_drawn_at_random_and_half_is_chosen(scene: Scene) -> None:
    choice = round_choice(scene, BUY)
    for tier, count in ((Tier.CCSD, 6), (Tier.DFT, 8)):
        arms = [each.arm for each in choice if each.tier == tier]
        assert arms.count(Arm.RANDOM) == arms.count(Arm.CHOSEN) == count / 2
    assert all(each.disagreement > 0 for each in choice if each.arm is Arm.CHOSEN)
    again = round_choice(scene, BUY)
    assert [w.positions_A3.tobytes() for w in again] == [w.positions_A3.tobytes() for w in choice]


def test_what_was_bought_ahead_is_the_beginning_of_the_random_arm(scene: Scene) -> None:
    plain = [w for w in round_choice(scene, BUY) if w.arm is Arm.RANDOM and w.tier == Tier.CCSD]
    ahead = random_choice(scene.supply, Counts(2), scene.taken)
    own = {tier: jobs[0].method for tier, jobs in scene.supply.jobs.items()}
    taken = scene.taken | {job.key() for job in jobs_of(ahead, MOLECULE, own)}
    choice = round_choice(replace(scene, ahead=ahead, taken=taken), BUY)
    drawn = [w for w in choice if w.arm is Arm.RANDOM and w.tier == Tier.CCSD]
    assert [w.positions_A3.tobytes() for w in drawn] == [w.positions_A3.tobytes() for w in plain]


def ahead_of(scene: Scene, count: int) -> tuple[Choice, frozenset[str]]:
    """So many target labels ahead, and what is taken with them."""
    ahead = random_choice(scene.supply, Counts(count), scene.taken)
    own = {tier: jobs[0].method for tier, jobs in scene.supply.jobs.items()}
    return ahead, scene.taken | {job.key() for job in jobs_of(ahead, MOLECULE, own)}


def shapes(choice: Sequence[Wanted]) -> list[bytes]:
    return [each.positions_A3.tobytes() for each in choice]


def test_of_what_was_to_be_bought_ahead_no_more_is_kept_than_the_random_arm(scene: Scene) -> None:
    ahead, taken = ahead_of(scene, 10)
    choice = round_choice(replace(scene, ahead=ahead, taken=taken), Counts(4, 0))
    assert shapes([w for w in choice if w.arm is Arm.RANDOM]) == shapes(ahead[:2])
    assert len(choice) == 4


def test_all_that_is_paid_ahead_is_kept(scene: Scene) -> None:
    ahead, taken = ahead_of(scene, 10)
    paid, unpaid = ahead[3:8], (*ahead[:3], *ahead[8:])
    choice = round_choice(replace(scene, paid=paid, ahead=unpaid, taken=taken), Counts(2, 0))
    assert shapes(choice) == shapes(paid)


def test_the_random_arm_is_told_before_exploring_begins(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So what was wanted ahead and isn't kept is not bought meanwhile."""
    told: list[Choice] = []

    def watched(*everything: Any, **more: Any) -> Explored:
        assert len(told) == 1
        return explore(*everything, **more)

    monkeypatch.setattr(candidates, "explore", watched)
    ahead, taken = ahead_of(scene, 10)
    choice = round_choice(replace(scene, ahead=ahead, taken=taken), Counts(4, 2), told.append)
    assert shapes(told[0]) == shapes([w for w in choice if w.arm is Arm.RANDOM])
    assert shapes(told[0])[:2] == shapes(ahead[:2])


def test_exploring_starts_from_no_geometry_that_judges(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[bytes] = []

    def watched(members: Any, molecule: Any, starts_SA3: Any, *rest: Any, **more: Any) -> Explored:
        starts.extend(each.tobytes() for each in starts_SA3)
        return explore(members, molecule, starts_SA3, *rest, **more)

    monkeypatch.setattr(candidates, "explore", watched)
    round_choice(scene, Counts(4, 0))
    assert len(starts) == 5
    assert not set(starts) & {each.tobytes() for each in scene.supply.kept}


def test_a_choice_can_be_stopped_while_it_explores(scene: Scene) -> None:
    calls: list[int] = []

    def check() -> None:
        calls.append(1)
        if len(calls) == 3:
            raise Interrupted

    with pytest.raises(Interrupted):
        round_choice(replace(scene, check=check), Counts(4, 0))


def test_no_middle_candidate_is_taken_already(scene: Scene) -> None:
    jobs = scene.supply.jobs[Tier.DFT][:60]
    taken = scene.taken | {job.key() for job in jobs}
    few = replace(
        scene,
        settings=ExploreSettings(temperatures=(300.0,), walkers=0, modes=0, pool=50),
        taken=taken,
    )
    choice = [w for w in round_choice(few, Counts(2, 30)) if w.tier == Tier.DFT]
    own = {job.configuration.positions_A3.tobytes() for job in jobs}
    assert not own & set(shapes(choice))


def test_nothing_is_like_a_geometry_that_judges_or_is_labelled(scene: Scene) -> None:
    choice = [w for w in round_choice(scene, Counts(40, 0)) if w.arm is Arm.CHOSEN]
    assert len(choice) > 10
    features_FD = shape_features(NUMBERS.tolist(), np.array([w.positions_A3 for w in choice]))
    kept = shape_features(NUMBERS.tolist(), np.array(scene.supply.kept))
    own = scene.frames.of_tier(Tier.CCSD).positions_A3.reshape(-1, len(NUMBERS), 3)
    for barred in (kept, shape_features(NUMBERS.tolist(), own)):
        assert (nearest(features_FD, barred, "largest") > ALIKE_A).all()


def test_labels_from_a_file_are_chosen_among_its_geometries(scene: Scene) -> None:
    filed = replace(scene, from_file=frozenset({Tier.CCSD}))
    choice = [w for w in round_choice(filed, Counts(20, 0)) if w.tier == Tier.CCSD]
    assert {w.arm for w in choice} == set(Arm)
    assert {w.positions_A3.tobytes() for w in choice} <= positions(scene, Tier.CCSD)
    free = [w for w in round_choice(scene, Counts(20, 0)) if w.tier == Tier.CCSD]
    assert not {w.positions_A3.tobytes() for w in free} <= positions(scene, Tier.CCSD)


def test_random_ones_stand_in_where_candidates_run_out(scene: Scene) -> None:
    few = replace(
        scene, settings=ExploreSettings(temperatures=(300.0,), walkers=0, modes=0, pool=4)
    )
    choice = round_choice(few, Counts(20, 0))
    assert len(choice) == 20
    assert len({w.positions_A3.tobytes() for w in choice}) == 20
