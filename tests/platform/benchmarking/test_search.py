"""Where c is searched in a benchmark, and who takes what was found."""

from dataclasses import replace
from pathlib import Path

import pytest
from spring_benchmark import TERMS, bench, rows_of

from forgefield.platform.benchmarking.asked import Asked
from forgefield.platform.benchmarking.asteroid.chains import Chains, expected, followers, trainings
from forgefield.platform.benchmarking.asteroid.choice_of_c import Found
from forgefield.platform.benchmarking.asteroid.terms import Bench, Case
from forgefield.platform.benchmarking.kinds import Kind
from forgefield.platform.benchmarking.results import Results
from forgefield.storage.errors import TrainingDiverged
from forgefield.trainers.stages.endings import Ending
from forgefield.trainers.stages.finished import finished_chain
from forgefield.trainers.stages.tasks import PhaseResult, StageResult, StageTask

WEIGHTED = replace(TERMS, ratios=(5.0, 10.0), kinds=(Kind.FULL,))


def result_of(task: StageTask) -> StageResult:
    phase = PhaseResult(
        frames=1, steps=1, best_step=1, validation=0.1, gamma=None, median_bias=None
    )
    return StageResult(
        name=task.name,
        output=task.output,
        key="",
        dataset="",
        phases=(phase,),
        validation=0.1,
        wall_s=1.0,
    )


def ended(here: Bench, *by_seed: dict[float, float | None]) -> Found:
    """All searches over, with these validation errors by seed and c; null diverged."""
    found: dict[tuple[str, Case], Ending] = {}
    for (kind, case), chain in trainings(here).items():
        results = [result_of(task) for task in chain]
        if kind == Kind.FULL and case.c is not None:
            error = by_seed[case.seed][case.c]
            if error is None:
                found[kind, case] = TrainingDiverged("no number")
                continue
            results[-1] = results[-1].model_copy(update={"validation": error})
        found[kind, case] = tuple(results)
    return found


def weighted(chains: Chains) -> set[tuple[int, float | None, float | None]]:
    return {(case.seed, case.ratio, case.c) for kind, case in chains if kind == Kind.FULL}


@pytest.mark.parametrize(
    ("errors", "best"),
    [
        ({0.5: 0.2, 2.0: 0.1}, 2.0),
        ({0.5: 0.1, 2.0: 0.2}, 0.5),
        ({0.5: None, 2.0: 9.0}, 2.0),
        ({0.5: None, 2.0: None}, 2.0),
    ],
)
def test_one_draw_has_one_search(
    asked: Asked, tmp_path: Path, errors: dict[float, float | None], best: float
) -> None:
    here = bench(replace(asked, out=tmp_path), WEIGHTED)
    assert weighted(trainings(here)) == {(0, 10.0, 0.5), (0, 10.0, 2.0)}
    others = {(0, 5.0, best), (1, 5.0, best), (1, 10.0, best)}
    assert weighted(followers(here, ended(here, errors))) == others


def test_every_draw_has_a_search_of_its_own(asked: Asked, tmp_path: Path) -> None:
    """What chose c for one draw may be a test frame of another."""
    here = bench(replace(asked, out=tmp_path, redraw=True), WEIGHTED)
    searches = {(seed, 10.0, c) for seed in (0, 1) for c in (0.5, 2.0)}
    assert weighted(trainings(here)) == searches
    found = ended(here, {0.5: 0.2, 2.0: 0.1}, {0.5: 0.1, 2.0: 0.2})
    assert weighted(followers(here, found)) == {(0, 5.0, 2.0), (1, 5.0, 0.5)}


def test_with_nothing_to_search_nothing_waits(asked: Asked, tmp_path: Path) -> None:
    here = bench(replace(asked, out=tmp_path), replace(WEIGHTED, c_grid=(1.0,)))
    everything = {(seed, ratio, 1.0) for seed in (0, 1) for ratio in (5.0, 10.0)}
    assert weighted(trainings(here)) == everything
    assert expected(here)[1] == {}


def test_the_work_ahead_goes_by_what_was_chosen(
    asked: Asked, results: Results, tmp_path: Path
) -> None:
    """Before the search the middle of the grid stands for the choice, afterwards the choice."""
    (first, _) = rows_of(results, Kind.FULL)
    now = bench(asked, replace(TERMS, kinds=(Kind.FULL,)))
    assert weighted(expected(now)[1]) == {(1, 10.0, first.c)}
    for task in (task for chain in expected(now)[1].values() for task in chain):
        assert finished_chain([task])
    ahead = bench(replace(asked, out=tmp_path), replace(TERMS, kinds=(Kind.FULL,)))
    assert weighted(expected(ahead)[1]) == {(1, 10.0, 2.0)}
