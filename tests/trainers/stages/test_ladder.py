"""Which stages a recipe asks for: names, starts, and grids of c that branch."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError

from forgefield.storage.errors import TrainingDiverged
from forgefield.storage.records import Tier
from forgefield.trainers.settings import FitSettings
from forgefield.trainers.stages.asteroid import train
from forgefield.trainers.stages.asteroid_settings import (
    AsteroidSettings,
    Chain,
    PhaseSettings,
    TrainingOutcome,
)
from forgefield.trainers.stages.committee import committee
from forgefield.trainers.stages.endings import Ending
from forgefield.trainers.stages.ladder import Ladder, chain_of, way_to
from forgefield.trainers.stages.tasks import PhaseResult, StageResult, StageTask

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
        weighted = low.cs != (None,)
        assert (low.pretrain.start, low.pretrain.teacher) == (None, TEACHER if weighted else None)
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


VALIDATION = {"pretrain-c-1-xtb": 0.3, "pretrain-c-1-xtb-dft": 0.1, "pretrain-unweighted-xtb": 0.2}


def result_of(task: StageTask) -> StageResult:
    """Without training: what starts from `VALIDATION`'s force fields has those errors."""
    error = VALIDATION.get(task.start.name, 0.4) if task.start else 0.4
    one = PhaseResult(frames=1, steps=1, best_step=1, validation=error, gamma=None,
                      median_bias=None)  # fmt: skip
    return StageResult(
        name=task.name, output=task.output, key=str(task.start), dataset="", phases=(one,),
        validation=error, wall_s=0.0,
    )  # fmt: skip


def climb(**changes: object) -> TrainingOutcome:
    """An outcome without training."""
    settings = AsteroidSettings(
        pretrain=(PhaseSettings(**XTB), PhaseSettings(**DFT)), curve=(0.5,), **changes
    )
    return train(
        Path("frames"),
        Path("out"),
        settings,
        lambda chains: [tuple(result_of(task) for task in chain) for chain in chains],
        cheap_tiers=(Tier.XTB, Tier.DFT),
    )


def test_all_that_waits_for_no_choice_is_asked_for_at_once(tmp_path: Path) -> None:
    """Each after what it needs, so that a runner keeps all cores busy."""
    asked: list[list[str]] = []

    def runner(chains: Sequence[Chain]) -> list[tuple[StageResult, ...]]:
        asked.append([chain[0].name for chain in chains])
        return [tuple(result_of(task) for task in chain) for chain in chains]

    pretrain = (PhaseSettings(**XTB), PhaseSettings(**DFT))
    settings = AsteroidSettings(pretrain=pretrain, curve=(0.5,), c_grid=(1.0, None), members=2)
    outcome = train(tmp_path, tmp_path, settings, runner, cheap_tiers=(Tier.XTB, Tier.DFT))
    assert asked == [
        [
            "standard-1",
            "pretrain-c-1-xtb",
            "pretrain-unweighted-xtb",
            "standard-0.5",
            "standard-1-member-1",
        ],
        ["pretrain-c-1-xtb-member-1", "finetune-unweighted-xtb-0.5"],
    ]
    assert [each.name for each in outcome.others] == ["finetune-c-1-xtb-dft-1-member-1"]
    assert [each.name for each in outcome.baseline_others] == ["standard-1-member-1"]
    assert [trial.c for trial in outcome.trials] == [1.0, 1.0, None, None]
    assert [trial.finetune.name for trial in outcome.trials[::2]] == [
        "finetune-c-1-xtb-1",
        "finetune-unweighted-xtb-1",
    ]


def test_the_curve_starts_from_what_knows_no_accurate_label() -> None:
    """Weights of c = 1 come from all accurate frames, though the best force field has them."""
    outcome = climb(c_grid=(1.0, None))
    assert outcome.best.pretrain.name == "pretrain-c-1-xtb-dft"
    assert outcome.curve_start.pretrain.name == "pretrain-unweighted-xtb"
    assert not outcome.curve_knows_all
    tuned = [point.force_field.name for point in outcome.curve if point.kind == "finetuned"]
    assert tuned == ["finetune-unweighted-xtb-0.5", "finetune-unweighted-xtb-1"]
    half_known = climb(c_grid=(1.0,))
    assert half_known.curve_start == half_known.best
    assert half_known.curve_knows_all
    older = TrainingOutcome.model_validate(outcome.model_dump(exclude={"curved"}))
    assert older.curve_start == older.best


def test_a_rung_above_a_weighted_one_knows_accurate_labels() -> None:
    rungs = PhaseSettings(**XTB), PhaseSettings(**DFT, c_grid=(None,))
    ((_, high),) = ladder(*rungs, c_grid=(1.0,)).climbs(TEACHER)
    assert high.cs == (1.0, None)
    trial = climb(c_grid=(1.0,)).best.model_copy(update={"c": None, "cs": high.cs})
    assert not trial.unweighted
    assert trial.model_copy(update={"cs": (None, None)}).unweighted


def test_a_member_of_a_committee_goes_the_whole_way_on_its_own() -> None:
    climbs = ladder(PhaseSettings(**XTB), PhaseSettings(**DFT), c_grid=(0.5, None)).climbs(TEACHER)
    way = way_to(climbs[1][1], climbs)
    assert [task.name for task in way] == [
        "pretrain-unweighted-xtb",
        "pretrain-unweighted-xtb-dft",
        "finetune-unweighted-xtb-dft-1",
    ]
    first, (low, high, tuned) = committee(way, 2)
    assert first == way
    assert low.start is None
    assert (high.start, tuned.start) == (low.output, high.output)
    assert {task.output for task in way}.isdisjoint({low.output, high.output, tuned.output})
    assert [task.output.name for task in (low, high, tuned)] == [
        f"{task.name}-member-1" for task in way
    ]
    weighted = way_to(climbs[0][0], climbs)
    assert committee(weighted, 2)[1][0].teacher == TEACHER


def test_members_of_a_committee_differ_in_seeds_alone() -> None:
    task = ladder(PhaseSettings(**XTB)).standard(1.0)
    members = [member for (member,) in committee((task,), 3)]
    assert [member.seed for member in members] == [0, 1, 2]
    assert [member.phases[0].fit.seed for member in members] == [0, 1, 2]
    assert len({member.key() for member in members}) == 3
    assert members[0] == task
    assert members[2].output == task.output.with_name(f"{members[2].name}")
    assert members[2].phases[0].frames == task.phases[0].frames


def test_a_member_that_went_wrong_is_left_out_of_the_committee() -> None:
    outcome = climb(c_grid=(1.0, None))
    best = outcome.best.finetune
    others = [
        best.model_copy(update={"validation": k * (best.validation or 0)}) for k in (1.4, 2.1)
    ]
    whole = outcome.model_copy(update={"others": tuple(others), "baseline_others": ()})
    assert whole.members == (best, others[0])
    assert whole.baseline_members == (outcome.baseline,)


def test_above_scores_every_c_is_tried_again() -> None:
    rungs = PhaseSettings(**XTB, objective="scores", temperature=500.0), PhaseSettings(**DFT)
    (climb,) = ladder(*rungs, c_grid=(0.5, None)).climbs(TEACHER)
    assert [rung.cs for rung in climb] == [(None,), (None, 0.5), (None, None)]


def test_a_teacher_without_c_and_c_without_a_teacher_are_refused() -> None:
    ((rung,),) = ladder(PhaseSettings(**DFT), c_grid=(0.5,)).climbs(TEACHER)
    for half in ({"teacher": None}, {"c": None}):
        with pytest.raises(ValidationError, match="a teacher and c, or neither"):
            StageTask.model_validate(rung.pretrain.model_dump() | half)


def outcome_without(*diverging: str) -> TrainingOutcome:
    """An outcome where chains with these stages diverge, without training."""
    error = TrainingDiverged("the loss is nan")

    def runner(chains: Sequence[Chain]) -> list[Ending]:
        bad = [any(task.name in diverging for task in chain) for chain in chains]
        return [
            error if is_bad else tuple(result_of(task) for task in chain)
            for is_bad, chain in zip(bad, chains, strict=True)
        ]

    settings = AsteroidSettings(
        pretrain=(PhaseSettings(**DFT),), curve=(0.5,), c_grid=(1.0, None), members=3
    )
    return train(Path("frames"), Path("out"), settings, runner, cheap_tiers=(Tier.DFT,))


def test_what_others_can_stand_in_for_may_diverge() -> None:
    """A c, members of both committees, curves: the rest is a force field, and labels are paid."""
    whole = outcome_without()
    assert [len(each) for each in (whole.trials, whole.others, whole.baseline_others)] == [2, 2, 2]
    kinds = [(point.kind, point.fraction) for point in whole.curve]
    assert kinds == [("standard", 0.5), ("standard", 1), ("finetuned", 0.5), ("finetuned", 1)]
    found = outcome_without(
        "pretrain-c-1-dft",
        "standard-1-member-2",
        "standard-0.5",
        "finetune-unweighted-dft-1-member-1",
        "finetune-unweighted-dft-0.5",
    )
    assert [trial.c for trial in found.trials] == [None]
    assert [len(each) for each in (found.others, found.baseline_others)] == [1, 1]
    assert [(point.kind, point.fraction) for point in found.curve] == [kinds[1], kinds[3]]
    assert found.best.finetune.name == "finetune-unweighted-dft-1"


@pytest.mark.parametrize("lost", [("standard-1",), ("pretrain-c-1-dft", "pretrain-unweighted-dft")])
def test_without_stage_1_or_any_climb_it_is_an_error(lost: tuple[str, ...]) -> None:
    with pytest.raises(TrainingDiverged, match="the loss is nan"):
        outcome_without(*lost)
