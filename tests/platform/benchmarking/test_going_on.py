"""A benchmark that was interrupted, and whose folder its files are kept in."""

import json
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
import spring_files as springs
from spring_benchmark import TERMS, bench, rows_of, same_numbers
from spring_files import Listener

from forgefield.platform.benchmarking.asked import Asked
from forgefield.platform.benchmarking.asteroid.benchmark import benchmark_asteroid
from forgefield.platform.benchmarking.curve import CurveTerms, benchmark_curve
from forgefield.platform.benchmarking.folders import PassingLock, own_folder
from forgefield.platform.benchmarking.kinds import Kind
from forgefield.platform.benchmarking.publishing.plots import parity
from forgefield.platform.benchmarking.publishing.publish import publish, with_gone_named
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
    assert len(trained) == 2 * 11 + 3
    found = benchmark_asteroid(again, TERMS, Listener())
    assert same_numbers(found, results)
    assert {path: path.stat().st_mtime_ns for path in trained} == trained


def test_what_is_finished_is_found_again_and_written_down(
    asked: Asked, results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path: path.stat().st_mtime_ns for path in asked.out.rglob("*.npz")}
    said: list[str] = []
    monkeypatch.setattr(Listener, "say", lambda _, text: said.append(text))
    again = benchmark_asteroid(asked, TERMS, Listener())
    (ahead,) = (text for text in said if text.startswith("Training: "))
    stages = ahead.split()[1]
    assert f"; {stages} of them are finished already" in ahead
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


def test_rows_that_are_replaced_are_named(asked: Asked, results: Results, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(results.model_dump_json())
    few = [row for row in results.rows if row.row == Kind.STANDARD]
    found = with_gone_named(results.model_copy(update={"rows": tuple(few)}), tmp_path)
    assert any("An earlier call had" in note and "ASTEROID" in note for note in found.notes)
    assert with_gone_named(results, tmp_path) == results
    assert with_gone_named(found, asked.out / "nowhere") == found


def test_the_same_file_twice_and_a_folder_that_can_t_be(asked: Asked, tmp_path: Path) -> None:
    twice = replace(asked, cheap=asked.accurate, out=tmp_path / "twice")
    with pytest.raises(InputError, match="are the same file"):
        benchmark_asteroid(twice, TERMS, Listener())
    (tmp_path / "file").write_text("")
    inside = replace(asked, out=tmp_path / "file/inside")
    with pytest.raises(InputError, match=r"Can't make the folder .*inside"):
        benchmark_asteroid(inside, TERMS, Listener())


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
    recipe = asked.out.parent / "other.toml"
    recipe.write_text(springs.RECIPE.replace("steps = 8", "steps = 9"))
    for changed, name in (
        (replace(asked, recipe=recipe), "recipe"),
        (replace(asked, validation=3), "validation none not 3"),
        (replace(asked, redraw=True), "redraw False not True"),
    ):
        with pytest.raises(InputError, match=f"holds another benchmark.*{name}"):
            benchmark_asteroid(changed, TERMS, Listener())
    assert {path: path.stat().st_mtime_ns for path in asked.out.rglob("stage.json")} == before
    more = replace(TERMS, kinds=(Kind.STANDARD,))
    assert len(rows_of(benchmark_asteroid(asked, more, Listener()), Kind.STANDARD)) == 2


def test_what_an_older_version_noted_less_of_is_the_same_benchmark(
    asked: Asked, tmp_path: Path
) -> None:
    prepared = bench(replace(asked, out=tmp_path)).prepared
    with own_folder(prepared, "asteroid", 20):
        pass
    noted = json.loads((tmp_path / "benchmark.json").read_text())
    older = {name: noted[name] for name in ("kind", "model", "budget", "accurate", "cheap", "test")}
    (tmp_path / "benchmark.json").write_text(json.dumps(older))
    with own_folder(prepared, "asteroid", 20):
        assert json.loads((tmp_path / "benchmark.json").read_text()) == noted


def test_redrawn_frames_are_plotted_beside_their_own_labels(asked: Asked, tmp_path: Path) -> None:
    """Where the first seed's trainings are lost, panels are of the second's draw."""
    redrawn = replace(asked, redraw=True, out=tmp_path / "out")
    found = benchmark_asteroid(redrawn, replace(TERMS, kinds=(Kind.STANDARD,)), Listener())
    second = found.model_copy(update={"rows": found.rows[1:]})
    (row,) = second.rows
    panel = parity(second, redrawn.out).axes[0]
    (points,) = (line for line in panel.lines if line.get_linestyle() == "None")
    reference, predicted = np.asarray(points.get_xdata()), np.asarray(points.get_ydata())
    assert np.abs(predicted - reference).mean() == pytest.approx(row.score.force_mae, rel=1e-5)


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
    assert not (tmp_path / "benchmark.lock").exists()
    (tmp_path / "benchmark.json").write_text("{")
    with pytest.raises(InputError, match="can't be read"), own_folder(prepared, "asteroid", 20):
        pass


def test_a_lock_on_a_file_that_went_meanwhile_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever opened a file whose holder then removed it holds what nobody else looks at."""
    path = tmp_path / "benchmark.lock"
    with PassingLock(path):
        late = [path.open("a+", encoding="utf-8")]
    opened = Path.open

    def slowly(self: Path, *words: Any, **more: Any) -> IO[Any]:
        return late.pop() if late and self == path else opened(self, *words, **more)

    monkeypatch.setattr(Path, "open", slowly)
    with PassingLock(path):
        assert not late
        assert path.read_text().startswith('{"pid"')
        with pytest.raises(RunBusy, match="in use"):
            PassingLock(path).acquire()
    assert list(tmp_path.iterdir()) == []


def test_never_two_at_a_time_however_often_the_file_goes(tmp_path: Path) -> None:
    inside, most, taken = [0], [0], [0]
    until = time.monotonic() + 1.0

    def contend() -> None:
        while time.monotonic() < until:
            with suppress(RunBusy), PassingLock(tmp_path / "benchmark.lock"):
                inside[0] += 1
                most[0], taken[0] = max(most[0], inside[0]), taken[0] + 1
                time.sleep(1e-4)
                inside[0] -= 1

    threads = [threading.Thread(target=contend) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert taken[0] > 20
