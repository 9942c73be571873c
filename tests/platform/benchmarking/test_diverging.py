"""A benchmark of which some trainings diverge: the others are published, and it says which not."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from spring_benchmark import TERMS, bench, rows_of
from spring_files import RECIPE, Listener

from forgefield.platform.benchmarking.asked import Asked
from forgefield.platform.benchmarking.asteroid.benchmark import benchmark_asteroid
from forgefield.platform.benchmarking.asteroid.chains import followers, trainings
from forgefield.platform.benchmarking.asteroid.rows import measured
from forgefield.platform.benchmarking.asteroid.terms import Case
from forgefield.platform.benchmarking.curve import CurveTerms, benchmark_curve
from forgefield.platform.benchmarking.kinds import CurveKind, Kind
from forgefield.platform.benchmarking.pace import ALL
from forgefield.platform.benchmarking.publishing.notes import notes_of
from forgefield.platform.benchmarking.publishing.publish import publish
from forgefield.platform.benchmarking.results import Results
from forgefield.platform.benchmarking.running import train_all
from forgefield.storage.errors import TrainingDiverged

ON_FIRST = (Kind.UNTUNED, Kind.FULL)
"""Rows that go on from the first stage on accurate labels."""


@dataclass
class Ears(Listener):
    """Keeps what is said, and how far all steps are."""

    said: list[str] = field(default_factory=list)
    done: tuple[int, int] = 0, 0
    stop_at: str = ""

    def say(self, text: str) -> None:
        """Keep it."""
        self.said.append(text)

    def bar(self, name: str, done: int, total: int, detail: str = "") -> None:
        """Keep the last of all steps."""
        del detail
        if name == ALL:
            self.done = done, total


def spoiled(asked: Asked, out: Path, schedule: str) -> Asked:
    """The same benchmark with a rate at which every fit of one schedule diverges."""
    recipe = out / "recipe.toml"
    recipe.parent.mkdir(parents=True, exist_ok=True)
    recipe.write_text(RECIPE.replace(f"{schedule} = {{", f"{schedule} = {{ rate = 1e30,"))
    return replace(asked, out=out, recipe=recipe)


def lost(results: Results) -> Mapping[str, int]:
    """How often each row was left out."""
    rows = [left.row for left in results.left_out]
    return {row: rows.count(row) for row in rows}


def test_rows_without_the_diverged_stages_are_published(
    asked: Asked, results: Results, tmp_path: Path
) -> None:
    """Standard schedules diverge, and with them what their force fields should have taught."""
    ears = Ears()
    found = benchmark_asteroid(spoiled(asked, tmp_path, "standard"), TERMS, ears)
    spoilt = {Kind.STANDARD, Kind.SCORES, Kind.DELTA, *ON_FIRST}
    assert lost(found) == dict.fromkeys(spoilt, 2)
    for kind in set(Kind) - spoilt:
        same = [row.score.force_mae for row in rows_of(results, kind)]
        assert [row.score.force_mae for row in rows_of(found, kind)] == same
    assert ears.done[0] == ears.done[1]
    assert not list(tmp_path.glob("stages/*c0.5-pretrain*"))
    said = [line for line in ears.said if line.startswith("Left out: seed 1, 10:1, c 2")]
    assert len(said) == 1
    assert "seed1-first-standard: The loss is" in said[0]
    notes = [note for note in notes_of(found) if "seed1-first-standard: The loss is" in note]
    assert len(notes) == 1
    assert "without fine-tuning, seed 1, 10:1; ASTEROID, seed 1, 10:1 are left out" in notes[0]
    assert publish(found, tmp_path)[0].is_file()


@pytest.mark.slow
def test_side_by_side_the_others_are_trained_too(
    asked: Asked, results: Results, tmp_path: Path
) -> None:
    once = replace(spoiled(asked, tmp_path, "standard"), seeds=1, parallel=2)
    terms = replace(TERMS, kinds=(Kind.UNWEIGHTED, Kind.FULL))
    found = benchmark_asteroid(once, terms, Listener())
    (row,) = found.rows
    assert row.score.force_mae == rows_of(results, Kind.UNWEIGHTED)[0].score.force_mae
    assert [left.row for left in found.left_out] == [Kind.FULL]
    assert "seed0-first-standard: The loss is" in found.left_out[0].reason
    assert not list(tmp_path.glob("stages/*c0.5-pretrain*"))


def test_a_c_that_diverges_is_not_chosen(asked: Asked, results: Results) -> None:
    here = bench(asked, replace(TERMS, kinds=ON_FIRST))
    found = train_all(trainings(here), here.prepared, Listener())
    found |= train_all(followers(here, found), here.prepared, Listener())
    before = rows_of(results, Kind.FULL)[0]
    assert before.c is not None
    found[Kind.FULL, Case(0, 1.0, 10.0, before.c)] = TrainingDiverged("no number")
    rows, left_out = measured(here, found)
    assert not left_out
    for row in [row for row in rows if row.seed == 0]:
        assert {row.c, before.c} == {0.5, 2.0}
        assert row.tried == {**before.tried, f"{before.c:g}": None}


def test_a_table_of_which_nothing_is_left_says_why(asked: Asked, tmp_path: Path) -> None:
    once = spoiled(asked, tmp_path, "finetune")
    found = benchmark_asteroid(once, replace(TERMS, kinds=ON_FIRST), Ears())
    assert found.rows == ()
    assert lost(found) == dict.fromkeys(ON_FIRST, 2)
    assert "c2-finetune: The loss is" in publish(found, tmp_path)[1].read_text()


def test_a_curve_without_pretraining_keeps_its_standard_points(
    asked: Asked, tmp_path: Path
) -> None:
    once = replace(spoiled(asked, tmp_path, "pretrain"), seeds=1, test_frames=20)
    found = benchmark_curve(once, CurveTerms((4, 8)), Ears())
    assert [(row.row, row.accurate) for row in found.rows] == [("standard", 4), ("standard", 8)]
    assert [(left.row, left.accurate) for left in found.left_out] == [
        (CurveKind.TUNED, 4),
        (CurveKind.TUNED, 8),
    ]
    publish(found, tmp_path)
