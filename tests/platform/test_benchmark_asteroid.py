"""The ASTEROID benchmark on small files: what trains on what, every row, kills, bad input."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spring_files as springs
from spring_files import RECIPE, Listener
from typer.testing import CliRunner

from forgefield.platform.benchmarking.asteroid import benchmark_asteroid
from forgefield.platform.benchmarking.asteroid_chains import FIRST, independent, weighted
from forgefield.platform.benchmarking.asteroid_terms import Bench, Case, Kind, Terms, bench_of
from forgefield.platform.benchmarking.preparing import Asked, prepare
from forgefield.platform.benchmarking.publishing import publish
from forgefield.platform.benchmarking.results import Results, Row
from forgefield.platform.benchmarking.tables import grids_of, markdown
from forgefield.platform.cli import app
from forgefield.storage.errors import InputError
from forgefield.storage.frame_store import load_frames
from forgefield.storage.frames import Frames
from forgefield.storage.records import Purpose, Tier
from forgefield.storage.units import KCAL_PER_MOL_PER_EV
from forgefield.trainers.baselines import sgdml
from forgefield.trainers.force_field import ForceField
from forgefield.trainers.stages.tasks import PhaseResult, StageResult, StageTask

ACCURATE_FRAMES, CHEAP_FRAMES = 80, 60
TERMS = Terms(budget=20, ratios=(10.0,), c_grid=(0.5, 2.0))


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """80 accurate frames, all of them with a cheap label too, turned; 60 other cheap frames."""
    folder = tmp_path_factory.mktemp("files")
    own = springs.distortions(ACCURATE_FRAMES, 1)
    cheap = np.concatenate([springs.distortions(CHEAP_FRAMES, 2), springs.turned(own)])
    (folder / "recipe.toml").write_text(RECIPE)
    return Asked(
        accurate=springs.write(folder / "high.npz", own, springs.ACCURATE),
        cheap=springs.write(folder / "low.npz", cheap, springs.CHEAP),
        test=None,
        out=folder / "out",
        model="egnn",
        recipe=folder / "recipe.toml",
        seeds=2,
        parallel=1,
        device="cpu",
    )


@pytest.fixture(scope="module")
def results(asked: Asked) -> Results:
    return benchmark_asteroid(asked, TERMS, Listener())


def rows_of(results: Results, kind: Kind) -> list[Row]:
    return [row for row in results.rows if row.row == kind]


def bench(asked: Asked, terms: Terms = TERMS) -> Bench:
    return bench_of(prepare(asked, terms.budget, Listener()), terms)


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
    chains = independent(here)
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
    scores = chains[Kind.SCORES, ladder][0]
    assert (scores.phases[0].objective, scores.phases[0].temperature) == ("scores", 500.0)
    assert counts(chains[Kind.DELTA, ladder][0].frames) == {
        (Tier.CCSD, Purpose.TRAIN): int(20 / 1.1),
        **judged,
    }
    teachers = {key: (result_of(chains[key][0]),) for key in chains if key[0] == FIRST}
    heavy = weighted(here, teachers)[Kind.FULL, case.at(10.0, 0.5)]
    assert (heavy[0].c, heavy[0].teacher) == (0.5, chains[FIRST, case][0].output)
    assert heavy[0].frames == pretrain.frames
    assert heavy[1].frames == tuned.frames


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


def test_seeds_draw_other_cheap_frames_and_share_the_accurate_ones(asked: Asked) -> None:
    here = bench(asked)
    first, second = here.cheap(Case(0, 1.0, 10.0)), here.cheap(Case(1, 1.0, 10.0))
    assert set(first) != set(second)
    assert set(first) | set(second) <= set(range(CHEAP_FRAMES))
    assert here.draw(0) == here.draw(1)
    redrawn = bench(replace(asked, redraw=True))
    assert redrawn.draw(0).train != redrawn.draw(1).train


def geometries(frames: Frames) -> set[bytes]:
    return {row.tobytes() for row in frames.geometry_F}


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


def test_c_is_chosen_by_validation(results: Results) -> None:
    for row, before in zip(
        rows_of(results, Kind.FULL), rows_of(results, Kind.UNTUNED), strict=True
    ):
        errors = {float(c): error for c, error in row.tried.items()}
        assert set(errors) == {0.5, 2.0}
        assert row.c == before.c == min(errors, key=lambda c: errors[c] or np.inf)
        assert row.validation == errors[row.c]
        assert row.gamma == pytest.approx(row.c * (row.median_bias or 0.0))
        assert row.search_seconds > row.seconds > before.seconds
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


def same_numbers(one: Results, other: Results) -> bool:
    return [(r.row, r.seed, r.score.force_mae, r.validation) for r in one.rows] == [
        (r.row, r.seed, r.score.force_mae, r.validation) for r in other.rows
    ]


def test_an_interrupted_benchmark_goes_on_with_the_same_numbers(
    asked: Asked, results: Results, tmp_path: Path
) -> None:
    again = replace(asked, out=tmp_path)
    for stop_at in ("seed1-all-standard", "seed0-ratio10-c2-finetune"):
        with pytest.raises(KeyboardInterrupt):
            benchmark_asteroid(again, TERMS, Listener(stop_at))
    trained = {path: path.stat().st_mtime_ns for path in tmp_path.glob("stages/*/stage.json")}
    assert len(trained) == 2 * 7 + 3
    found = benchmark_asteroid(again, TERMS, Listener())
    assert same_numbers(found, results)
    assert {path: path.stat().st_mtime_ns for path in trained} == trained


def test_what_is_finished_is_found_again_and_written_down(asked: Asked, results: Results) -> None:
    before = {path: path.stat().st_mtime_ns for path in asked.out.rglob("*.npz")}
    again = benchmark_asteroid(asked, TERMS, Listener())
    assert same_numbers(again, results)
    after = {path: path.stat().st_mtime_ns for path in asked.out.rglob("*.npz")}
    assert [path.name for path in before if after[path] != before[path]] == ["labels.npz"]
    paths = publish(again, asked.out)
    assert [path.name for path in paths] == [
        "results.json",
        "results.md",
        "parity.png",
        "time.png",
    ]
    assert Results.model_validate_json(paths[0].read_text()) == again
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in paths[2:])


def test_tables_stand_beside_the_paper(results: Results) -> None:
    ethanol = results.model_copy(update={"molecule": "C2H6O", "model": "egnn"})
    table = {line[0]: line for line in grids_of(ethanol)[0].rows}
    assert list(table) == [kind.value for kind in Kind]
    assert table["standard"][-1] == "0.840 EGNN"
    assert table["ASTEROID"][-1] == "0.176 GemNet"
    assert table["sGDML"][-1] == "0.902"
    values = [row.score.force_mae for row in rows_of(results, Kind.FULL)]
    digits = 3 if np.mean(values) < 10 else 1
    mean, deviation = np.mean(values), np.std(values, ddof=1)
    assert table["ASTEROID"][2] == f"{mean:.{digits}f} ± {deviation:.{digits}f}"
    assert table["ASTEROID"][1] == "16 + 40"
    assert "| sGDML | 20 |" in markdown(results)
    assert {line[-1] for line in grids_of(results)[0].rows} == {"–"}


def no_memory(*_: Frames) -> sgdml.SGDML:
    raise InputError("sGDML needs 9.9 GiB")


def test_rows_that_cannot_be_had_say_why(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unpaired cheap frames leave Δ-learning out, too small a memory sGDML."""
    cheap = springs.write(tmp_path / "low.npz", springs.distortions(60, 2), springs.CHEAP)
    monkeypatch.setattr(sgdml, "fit", no_memory)
    terms = replace(TERMS, kinds=(Kind.DELTA, Kind.SGDML))
    changed = replace(asked, cheap=cheap, out=tmp_path / "out")
    found = benchmark_asteroid(changed, terms, Listener())
    assert found.rows == ()
    reasons = {left.row: left.reason for left in found.left_out}
    assert "0 of 22 training and validation frames" in reasons[Kind.DELTA]
    assert "GiB" in reasons[Kind.SGDML]
    assert "Δ-learning is left out: it needs cheap labels" in markdown(found)
    assert not (tmp_path / "out/stages").exists()


def run(arguments: Sequence[str | Path]) -> Any:
    return CliRunner().invoke(app, ["benchmark", *map(str, arguments)])


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--budget-ccsd", "79"], "79 frames to train on"),
        (["--budget-ccsd", "20", "--cost-ratio", "20"], "80 cheap frames were asked for; 60"),
        (["--budget-ccsd", "20", "--cost-ratio", "a,b"], "are no numbers"),
        (["--budget-ccsd", "20", "--cost-ratio", "-1"], "above 0"),
        (["--model", "resnet"], "is no model"),
        (["--rows", "best"], "is no row"),
        (["--device", "abacus"], "is no device"),
        (["--dft", "absent.npz"], "There is no file"),
        (["--unit", "calories"], "is no unit of energy"),
        (["--recipe", "absent.toml"], "Can't read the recipe"),
    ],
)
def test_bad_input_is_refused_before_anything_is_trained(
    asked: Asked, tmp_path: Path, more: list[str], words: str
) -> None:
    words_of = ["--ccsd", asked.accurate, "--dft", asked.cheap, "--model", "egnn"]
    out = tmp_path / "out"
    done = run(["asteroid", *words_of, "--out", out, "--parallel", "1", *more])
    assert isinstance(done.exception, InputError), done.output
    assert words in str(done.exception)
    assert not out.exists()


def test_the_command_prints_json_or_a_table(asked: Asked, results: Results) -> None:
    words = ["asteroid", "--ccsd", asked.accurate, "--dft", asked.cheap, "--out", asked.out]
    words += ["--recipe", asked.recipe or "", "--model", "egnn", "--seeds", "2", "--parallel", "1"]
    words += ["--budget-ccsd", "20", "--cost-ratio", "10", "--c", "0.5,2", "--device", "cpu"]
    done = run([*words, "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout.splitlines()[-1])
    assert [row["score"]["force_mae"] for row in said["rows"]] == [
        row.score.force_mae for row in results.rows
    ]
    shown = run(words)
    assert shown.exit_code == 0
    assert "without weights" in shown.stdout
    assert str(asked.out / "time.png") in shown.stdout
