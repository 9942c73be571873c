"""A benchmark that was interrupted, and whose folder its files are kept in."""

from dataclasses import replace
from pathlib import Path

import pytest
import spring_files as springs
from spring_benchmark import TERMS, bench, rows_of, same_numbers
from spring_files import Listener

from forgefield.platform.benchmarking.asked import Asked
from forgefield.platform.benchmarking.asteroid import benchmark_asteroid
from forgefield.platform.benchmarking.asteroid_terms import Kind
from forgefield.platform.benchmarking.curve import CurveTerms, benchmark_curve
from forgefield.platform.benchmarking.folders import own_folder
from forgefield.platform.benchmarking.publishing import publish
from forgefield.platform.benchmarking.results import Results
from forgefield.storage.errors import InputError, RunBusy
from forgefield.storage.run_lock import FileLock


def test_an_interrupted_benchmark_goes_on_with_the_same_numbers(
    asked: Asked, results: Results, tmp_path: Path
) -> None:
    again = replace(asked, out=tmp_path)
    for stop_at in (
        "seed 1, all accurate labels: training",
        "seed 0, 10:1, c 2: fine-tuning",
    ):
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


def test_a_score_counts_only_with_its_predictions(asked: Asked, tmp_path: Path) -> None:
    prepared = bench(replace(asked, out=tmp_path)).prepared
    judge = prepared.judge(prepared.draws[0])
    found = judge.test.energy_F, judge.test.forces_A3
    judge.keep("it", "key", found, 2.0)
    kept = judge.kept("it", "key")
    assert kept is not None
    assert kept[1] == 2.0
    (tmp_path / "predictions/it.npz").unlink()
    assert judge.kept("it", "key") is None
    judge.keep("it", "key", found, 2.0)
    (tmp_path / "predictions/it.json").write_text('{"key": "ke')
    assert judge.kept("it", "key") is None


def test_a_folder_is_of_one_benchmark(asked: Asked, results: Results) -> None:
    del results
    before = {path: path.stat().st_mtime_ns for path in asked.out.rglob("stage.json")}
    with pytest.raises(InputError, match="budget 20 not 24"):
        benchmark_asteroid(asked, replace(TERMS, budget=24), Listener())
    with pytest.raises(InputError, match="kind asteroid not curve"):
        benchmark_curve(asked, CurveTerms((4,)), Listener())
    other = springs.write(asked.out.parent / "other.npz", springs.distortions(60, 3), springs.CHEAP)
    with pytest.raises(InputError, match=r"holds another benchmark.*cheap"):
        benchmark_asteroid(replace(asked, cheap=other), TERMS, Listener())
    assert {path: path.stat().st_mtime_ns for path in asked.out.rglob("stage.json")} == before
    more = replace(TERMS, kinds=(Kind.STANDARD,))
    assert len(rows_of(benchmark_asteroid(asked, more, Listener()), Kind.STANDARD)) == 2


def test_one_process_at_a_time(asked: Asked, tmp_path: Path) -> None:
    prepared = bench(replace(asked, out=tmp_path)).prepared
    with (
        FileLock(tmp_path / "benchmark.lock"),
        pytest.raises(RunBusy, match="is in use by process"),
        own_folder(prepared, "asteroid", 20),
    ):
        pass
    with own_folder(prepared, "asteroid", 20):
        assert FileLock(tmp_path / "benchmark.lock").is_held()
    (tmp_path / "benchmark.json").write_text("{")
    with pytest.raises(InputError, match="can't be read"), own_folder(prepared, "asteroid", 20):
        pass
