"""The ASTEROID benchmark on small files: what trains on what, and every row."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import spring_files as springs
from spring_benchmark import ACCURATE_FRAMES, CHEAP_FRAMES, TERMS, bench, geometries, rows_of
from spring_files import Listener

from forgefield.platform.benchmarking.asked import Asked
from forgefield.platform.benchmarking.asteroid.benchmark import benchmark_asteroid
from forgefield.platform.benchmarking.asteroid.chains import FIRST, expected, trainings
from forgefield.platform.benchmarking.asteroid.terms import Case
from forgefield.platform.benchmarking.kinds import Kind
from forgefield.platform.benchmarking.results import Results
from forgefield.storage.frame_store import load_frames
from forgefield.storage.records import Purpose, Tier
from forgefield.storage.units import KCAL_PER_MOL_PER_EV
from forgefield.trainers.force_field import ForceField
from forgefield.trainers.stages.tasks import StageResult


def counts(store: Path) -> dict[tuple[Tier, Purpose], int]:
    frames = load_frames(store, tuple(Purpose))
    found = {
        (tier, purpose): len(frames.of_tier(tier).of_purpose(purpose))
        for tier in Tier
        for purpose in Purpose
    }
    return {key: count for key, count in found.items() if count}


def test_every_row_trains_on_what_it_paid_for(asked: Asked, tmp_path: Path) -> None:
    here = bench(replace(asked, out=tmp_path))
    chains = trainings(here)
    case = Case(1, 1.0)
    ladder = case.at(10.0)
    judged = {(Tier.CCSD, Purpose.VALIDATION): 4}
    assert counts(chains[Kind.STANDARD, case][0].frames) == {
        (Tier.CCSD, Purpose.TRAIN): 20,
        **judged,
    }
    small = {(Tier.CCSD, Purpose.TRAIN): 16, **judged}
    assert counts(chains[FIRST, case][0].frames) == small
    pretrain, tuned = chains[Kind.UNWEIGHTED, ladder]
    assert counts(pretrain.frames) == {**small, (Tier.DFT, Purpose.TRAIN): 40}
    assert counts(tuned.frames) == small
    assert (pretrain.start, pretrain.teacher, tuned.start) == (None, None, pretrain.output)
    assert pretrain.phases[0].frames.tiers == (Tier.DFT,)
    assert tuned.phases[0].frames.tiers == (Tier.CCSD,)
    scores, after = chains[Kind.SCORES, ladder]
    assert (scores.phases[0].objective, scores.phases[0].temperature) == ("scores", 500.0)
    assert (after.start, after.frames) == (scores.output, tuned.frames)
    assert after.phases == chains[FIRST, case][0].phases
    assert counts(chains[Kind.DELTA, ladder][0].frames) == {
        (Tier.CCSD, Purpose.TRAIN): int(20 / 1.1),
        **judged,
    }
    first = Case(0, 1.0)
    heavy = chains[Kind.FULL, first.at(10.0, 0.5)]
    assert (heavy[0].c, heavy[0].teacher) == (0.5, chains[FIRST, first][0].output)
    assert counts(heavy[0].frames) == counts(pretrain.frames)
    assert heavy[1].frames == tuned.frames


def test_workers_find_everything_from_folders_of_their_own(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    here = bench(replace(asked, out=Path("benchmarks/ours")))
    tasks = [task for wave in expected(here) for chain in wave.values() for task in chain]
    places = {path for task in tasks for path in (task.frames, task.output, *task.sources)}
    assert all(path.is_relative_to(tmp_path / "benchmarks/ours") for path in places)


def test_seeds_draw_other_cheap_frames_and_share_the_accurate_ones(asked: Asked) -> None:
    here = bench(asked)
    first, second = here.cheap(Case(0, 1.0, 10.0)), here.cheap(Case(1, 1.0, 10.0))
    assert set(first) != set(second)
    assert set(first) | set(second) <= set(range(CHEAP_FRAMES))
    assert here.prepared.draw(0) == here.prepared.draw(1)
    redrawn = bench(replace(asked, redraw=True))
    assert redrawn.prepared.draw(0).train != redrawn.prepared.draw(1).train


def test_no_training_reads_a_test_geometry(asked: Asked, results: Results) -> None:
    test = bench(asked).prepared.accurate.frames(results.draws["0"].test)
    cheap = bench(asked).prepared.cheap.frames(range(CHEAP_FRAMES, CHEAP_FRAMES + ACCURATE_FRAMES))
    stores = list((asked.out / "frames").glob("*.zarr"))
    assert len(stores) == 5
    for store in stores:
        known = load_frames(store, tuple(Purpose))
        assert not (geometries(test) | geometries(cheap)) & geometries(known)
        assert not len(known.of_purpose(Purpose.HOLDOUT))


def test_every_row_is_there_with_its_errors(asked: Asked, results: Results) -> None:
    assert {kind: len(rows_of(results, kind)) for kind in Kind} == {
        **dict.fromkeys(Kind, 2),
        Kind.SGDML: 1,
    }
    assert results.left_out == ()
    test = bench(asked).prepared.accurate.frames(results.draws["0"].test)
    assert len(test) == 56
    for row in results.rows:
        with np.load(asked.out / row.score.predictions) as arrays:
            gap = (arrays["forces"] - test.forces_A3) * KCAL_PER_MOL_PER_EV
        assert row.score.force_mae == pytest.approx(np.abs(gap).mean(), rel=1e-5)
        assert row.score.force_rmse == pytest.approx(np.sqrt((gap**2).mean()), rel=1e-5)
        assert row.score.low <= row.score.force_mae <= row.score.high
        assert row.seconds > 0


def test_score_matching_is_chosen_by_validation_and_its_temperature_noted(
    asked: Asked, results: Results
) -> None:
    assert results.temperature == 500.0
    assert any("at 500 K; of all its steps validation frames choose" in n for n in results.notes)
    for seed in (0, 1):
        folder = asked.out / f"stages/seed{seed}-ratio10-scores-pretrain"
        (phase,) = result_of_output(folder).phases
        errors = {line.step: line.validation for line in phase.history}
        assert sorted(errors) == [4, 8, 12]
        assert phase.best_step == min(errors, key=lambda step: errors[step] or np.inf)


def test_c_is_searched_on_the_first_seed_and_the_others_take_the_best(results: Results) -> None:
    pairs = list(zip(rows_of(results, Kind.FULL), rows_of(results, Kind.UNTUNED), strict=True))
    assert [set(row.tried) for row, _ in pairs] == [{"0.5", "2"}, {f"{pairs[0][0].c:g}"}]
    for row, before in pairs:
        errors = {float(c): error for c, error in row.tried.items()}
        assert row.c == before.c == min(errors, key=lambda c: errors[c] or np.inf)
        assert row.validation == errors[row.c]
        assert row.gamma == pytest.approx(row.c * (row.median_bias or 0.0))
        assert row.seconds > before.seconds
        assert (row.search_seconds > row.seconds) == (row.seed == 0)
        assert (row.accurate, row.cheap) == (16, 40)


def test_delta_learning_adds_the_cheap_labels_of_the_test_frames(
    asked: Asked, results: Results
) -> None:
    row = rows_of(results, Kind.DELTA)[0]
    positions = springs.distortions(ACCURATE_FRAMES, 1)[list(results.draws["0"].test)]
    _, cheap = springs.labels(positions, springs.CHEAP)
    _, wanted = springs.labels(positions, springs.ACCURATE)
    test = bench(asked).prepared.accurate.frames(results.draws["0"].test)
    assert row.force_field is not None
    added = ForceField.load(row.force_field).predict(test)[1].reshape(cheap.shape)
    error = np.abs(cheap + added - wanted).mean() * KCAL_PER_MOL_PER_EV
    assert row.score.force_mae == pytest.approx(error, rel=1e-5)
    assert error < 0.5 * rows_of(results, Kind.STANDARD)[0].score.force_mae


def test_sgdml_solves_springs_better_than_a_short_training(results: Results) -> None:
    (row,) = rows_of(results, Kind.SGDML)
    assert row.accurate == 20
    assert row.score.force_mae < 0.5 * rows_of(results, Kind.STANDARD)[0].score.force_mae


def test_another_cheap_file_in_the_same_place_gives_other_differences(
    asked: Asked, tmp_path: Path
) -> None:
    """Same accurate frames and budget; what is found must not be the other file's."""
    terms = replace(TERMS, kinds=(Kind.DELTA,))
    once = replace(asked, out=tmp_path, seeds=1)
    own = springs.distortions(ACCURATE_FRAMES, 1)
    other = springs.write(tmp_path / "other.npz", own, 0.5 * springs.CHEAP)
    first = benchmark_asteroid(once, terms, Listener())
    (tmp_path / "benchmark.json").unlink()
    changed = replace(once, cheap=other)
    second = benchmark_asteroid(changed, terms, Listener())
    alone = benchmark_asteroid(replace(changed, out=tmp_path / "alone"), terms, Listener())
    errors = [rows_of(each, Kind.DELTA)[0].score.force_mae for each in (first, second, alone)]
    assert errors[0] != errors[1] == errors[2]


def test_a_score_is_of_the_labels_that_were_added(
    asked: Asked, results: Results, tmp_path: Path
) -> None:
    """The judge alone: same force field, same frames, other labels on top."""
    prepared = bench(asked).prepared
    judge = replace(prepared, asked=replace(asked, out=tmp_path)).judge(prepared.draws[0])
    row = rows_of(results, Kind.STANDARD)[0]
    assert row.force_field is not None
    stage = result_of_output(row.force_field)
    none = np.zeros_like(judge.test.energy_F), np.zeros_like(judge.test.forces_A3)
    some = none[0], none[1] + 0.5
    scores = [judge.stage(stage, add=add) for add in (none, some, none)]
    assert scores[0].force_mae == scores[2].force_mae != scores[1].force_mae


def result_of_output(folder: Path) -> StageResult:
    text = (folder / "stage.json").read_text()
    return StageResult.model_validate_json(text).model_copy(update={"output": folder})
