"""Which stages a recipe asks for: names, starts, and grids of c that branch."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from forgefield.storage.records import Tier
from forgefield.trainers.settings import FitSettings
from forgefield.trainers.stages.asteroid_settings import AsteroidSettings, PhaseSettings
from forgefield.trainers.stages.committee import committee
from forgefield.trainers.stages.ladder import Ladder, chain_of

XTB, DFT = (
    {"tiers": (tier,), "fit": FitSettings(steps=steps)}
    for tier, steps in ((Tier.XTB, 10), (Tier.DFT, 20))
)
TEACHER = Path("teacher")


def ladder(*rungs: PhaseSettings, **changes: object) -> Ladder:
    settings = AsteroidSettings(pretrain=rungs, **changes)
    return Ladder(Path("frames"), Path("out"), settings, (Tier.XTB, Tier.DFT))


def names(plan: Ladder) -> list[list[str]]:
    return [[task.name for task in chain_of(climb)] for climb in plan.climbs(TEACHER)]


def test_every_c_climbs_all_rungs_and_fine_tunes_each() -> None:
    plan = ladder(PhaseSettings(**XTB), PhaseSettings(**DFT), c_grid=(0.5, None))
    assert names(plan) == [
        [f"{stage}-{c}-{tiers}{end}" for tiers in ("xtb", "xtb-dft")
         for stage, end in (("pretrain", ""), ("finetune", "-1"))]
        for c in ("c-0.5", "unweighted")
    ]  # fmt: skip
    for climb in plan.climbs(TEACHER):
        low, high = climb
        assert (low.pretrain.start, low.pretrain.teacher) == (None, TEACHER)
        assert (high.pretrain.start, high.finetune.start) == (
            low.pretrain.output,
            high.pretrain.output,
        )
        assert high.pretrain.c == low.pretrain.c == climb[0].cs[0]


def test_a_rung_with_a_grid_of_its_own_branches_from_the_same_weights() -> None:
    rungs = PhaseSettings(**XTB), PhaseSettings(**DFT, c_grid=(1.0, "unweighted"))
    plan = ladder(*rungs, c_grid=(0.5,))
    (climb,) = plan.climbs(TEACHER)
    assert [rung.cs for rung in climb] == [(0.5,), (0.5, 1.0), (0.5, None)]
    assert {rung.pretrain.start for rung in climb[1:]} == {climb[0].pretrain.output}
    outputs = [task.output for task in chain_of(climb)]
    assert len(set(outputs)) == len(outputs) == 6
    first = ladder(PhaseSettings(**XTB, c_grid=(2.0, 3.0)), c_grid=(0.5,))
    assert [climb[0].cs for climb in first.climbs(TEACHER)] == [(2.0,), (3.0,)]


def test_score_matching_needs_no_teacher_and_no_c() -> None:
    scores = PhaseSettings(**DFT, objective="scores", temperature=500.0)
    assert names(ladder(scores, c_grid=(0.5, None))) == [
        ["pretrain-scores-dft", "finetune-scores-dft-1"]
    ]
    ((rung,),) = ladder(scores).climbs(TEACHER)
    assert (rung.pretrain.teacher, rung.pretrain.c) == (None, None)
    assert rung.pretrain.phases[0].temperature == 500
    with pytest.raises(ValidationError, match="give both"):
        PhaseSettings(**DFT, objective="scores")


def test_members_of_a_committee_differ_in_seeds_alone() -> None:
    task = ladder(PhaseSettings(**XTB)).standard(1.0)
    members = [member for (member,) in committee(task, 3)]
    assert [member.seed for member in members] == [0, 1, 2]
    assert [member.phases[0].fit.seed for member in members] == [0, 1, 2]
    assert len({member.key() for member in members}) == 3
    assert members[0].key() == task.key()
    assert members[2].output == task.output / "member-2"
    assert members[2].phases[0].frames == task.phases[0].frames
