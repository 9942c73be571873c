"""The committee's row: the same labels for every member, other draws of weights and batches."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from spring_benchmark import TERMS, bench, rows_of
from spring_files import Listener

from forgefield.platform.benchmarking.asked import Asked
from forgefield.platform.benchmarking.asteroid.benchmark import benchmark_asteroid, notes
from forgefield.platform.benchmarking.asteroid.chains import trainings
from forgefield.platform.benchmarking.asteroid.terms import Case, Terms, kinds_of
from forgefield.platform.benchmarking.kinds import Kind
from forgefield.platform.benchmarking.publishing.best import best_row
from forgefield.platform.benchmarking.publishing.tables import grids_of
from forgefield.platform.benchmarking.results import Results, Row
from forgefield.storage.records import Array
from forgefield.storage.units import KCAL_PER_MOL_PER_EV
from forgefield.trainers.force_field import ForceField
from forgefield.trainers.loading import load_force_field
from forgefield.trainers.stages.tasks import StageTask
from forgefield.trainers.uncertainty.committee import Committee

ALONE = replace(TERMS, kinds=(Kind.COMMITTEE,))


def reseeded(task: StageTask, seed: int) -> StageTask:
    """The task with another seed of weights and of batches, and nothing else."""
    (phase,) = task.phases
    phase = phase.model_copy(update={"fit": phase.fit.model_copy(update={"seed": seed})})
    return task.model_copy(update={"phases": (phase,), "seed": seed})


@pytest.mark.parametrize("seed", [0, 1])
def test_members_are_the_unweighted_training_from_other_seeds(
    asked: Asked, tmp_path: Path, seed: int
) -> None:
    """Names and keys are those that stages made by hand would have."""
    chains = trainings(bench(replace(asked, out=tmp_path), ALONE))
    case = Case(seed, 1.0, 10.0)
    first = chains[Kind.UNWEIGHTED, case]
    for member, other in enumerate(case.others(3), start=1):
        chain = chains[Kind.COMMITTEE, other]
        for ours, theirs in zip(chain, first, strict=True):
            assert ours.key() == reseeded(theirs, seed + 1000 * member).key() != theirs.key()
            assert ours.frames == theirs.frames
            assert ours.name == theirs.name.replace(f"seed{seed}-", f"seed{seed}-member{member}-")
            assert ours.output.name == ours.name
        assert chain[1].start == chain[0].output
    assert [task.name for task in chains[Kind.COMMITTEE, Case(0, 1.0, 10.0, member=1)]] == [
        "seed0-member1-ratio10-unweighted-pretrain",
        "seed0-member1-ratio10-unweighted-finetune",
    ]
    assert len(chains) == 2 * 3


def test_no_two_trainings_share_a_seed(asked: Asked) -> None:
    chains = trainings(bench(replace(asked, seeds=2), ALONE))
    seeds = [chain[0].seed for chain in chains.values()]
    assert sorted(seeds) == [0, 1, 1000, 1001, 2000, 2001]


def predicted(asked: Asked, row: Row) -> Array:
    """Forces on the test frames, in kcal/mol/Å, that a row's score was taken from."""
    with np.load(asked.out / row.score.predictions) as arrays:
        return np.asarray(arrays["forces"], float) * KCAL_PER_MOL_PER_EV


def test_the_row_is_the_mean_of_its_members(asked: Asked, results: Results) -> None:
    test = bench(asked).prepared.accurate.frames(results.draws["0"].test)
    for row, alone in zip(
        rows_of(results, Kind.COMMITTEE), rows_of(results, Kind.UNWEIGHTED), strict=True
    ):
        names = ["", "member1-", "member2-"]
        folders = [
            asked.out / f"stages/seed{row.seed}-{name}ratio10-unweighted-finetune" for name in names
        ]
        every = [ForceField.load(folder).predict(test)[1] for folder in folders]
        mean = np.mean(every, axis=0) * KCAL_PER_MOL_PER_EV
        np.testing.assert_allclose(predicted(asked, row), mean, rtol=1e-5, atol=1e-4)
        for one in every:
            assert np.abs(predicted(asked, row) - one * KCAL_PER_MOL_PER_EV).max() > 1e-2
        assert row.score.force_mae == pytest.approx(
            np.abs(mean - test.forces_A3 * KCAL_PER_MOL_PER_EV).mean(), rel=1e-5
        )
        own = [np.abs(f - test.forces_A3).mean() * KCAL_PER_MOL_PER_EV for f in every]
        assert own[0] == pytest.approx(alone.score.force_mae, rel=1e-5)
        assert row.score.force_mae <= np.mean(own) * (1 + 1e-9)
        assert (row.accurate, row.cheap, row.members) == (alone.accurate, alone.cheap, 3)
        assert row.seconds == row.search_seconds > alone.seconds


def test_it_is_a_force_field_that_validation_frames_judged(asked: Asked, results: Results) -> None:
    prepared = bench(asked).prepared
    validation = prepared.accurate.frames(results.draws["0"].validation)
    test = prepared.accurate.frames(results.draws["0"].test)
    for row in rows_of(results, Kind.COMMITTEE):
        assert row.force_field is not None
        committee = load_force_field(row.force_field)
        assert isinstance(committee, Committee)
        assert committee.calibration is not None
        gap_A3 = committee.predict(validation)[1] - validation.forces_A3
        assert row.validation == pytest.approx(np.abs(gap_A3).mean() * KCAL_PER_MOL_PER_EV)
        forces_A3 = committee.predict(test)[1] * KCAL_PER_MOL_PER_EV
        np.testing.assert_allclose(predicted(asked, row), forces_A3, rtol=1e-5, atol=1e-4)


def test_it_is_trained_on_demand_and_without_the_row_it_starts_from(
    asked: Asked, results: Results, tmp_path: Path
) -> None:
    """Alone it gives the same number; asked for where the rest is there, it trains the rest."""
    assert Kind.COMMITTEE not in Terms().kinds == kinds_of(None)
    assert kinds_of("committee, standard") == (Kind.STANDARD, Kind.COMMITTEE)
    once = replace(asked, out=tmp_path, seeds=1)
    first = benchmark_asteroid(once, replace(TERMS, kinds=(Kind.UNWEIGHTED,)), Listener())
    there = {path: path.stat().st_mtime_ns for path in tmp_path.glob("stages/*/stage.json")}
    found = benchmark_asteroid(once, ALONE, Listener())
    assert [row.row for row in found.rows] == ["committee"]
    assert found.rows[0].score.force_mae == rows_of(results, Kind.COMMITTEE)[0].score.force_mae
    assert {path: path.stat().st_mtime_ns for path in there} == there
    two = benchmark_asteroid(once, replace(ALONE, members=2), Listener())
    assert two.rows[0].members == 2
    assert two.rows[0].score.force_mae != found.rows[0].score.force_mae
    assert two.rows[0].score.predictions != found.rows[0].score.predictions
    alone, together = best_row(first), best_row(found)
    assert alone is not None
    assert together is not None
    assert together[1] != alone[1]


def test_the_table_has_it_beside_the_row_it_is_made_of(asked: Asked, results: Results) -> None:
    kinds = [line[0] for line in grids_of(results)[0].rows]
    assert kinds.index("committee") == kinds.index("without weights") + 1
    line = next(line for line in grids_of(results)[1].rows if line[0] == "committee")
    assert line[1] == "16 + 40"
    said = [note for note in notes(bench(asked)) if "committee" in note.lower()]
    assert len(said) == 1
    assert "the mean of 3 networks" in said[0]
    assert Results.model_validate_json(results.model_dump_json()) == results
