"""A benchmark in so many hours: a step is timed here, and the effort goes by it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from spring_benchmark import TERMS, bench
from spring_files import RECIPE, Ears, Listener

from forgefield.platform.benchmarking import hours
from forgefield.platform.benchmarking.asked import Asked
from forgefield.platform.benchmarking.asteroid.benchmark import benchmark_asteroid
from forgefield.platform.benchmarking.asteroid.chains import expected, trainings
from forgefield.platform.benchmarking.asteroid.terms import Bench
from forgefield.platform.benchmarking.hours import effort_for, settled
from forgefield.platform.benchmarking.kinds import Kind
from forgefield.platform.benchmarking.trial import WavesOf, trial, work_in
from forgefield.platform.benchmarking.waves import in_turn
from forgefield.platform.benchmarking.wording import steps_in
from forgefield.platform.commands.benchmark_options import USUAL_HOURS, Shared
from forgefield.storage.errors import InputError

FEW = replace(TERMS, kinds=(Kind.STANDARD, Kind.FULL), c_grid=(1.0,))
STEPS, BATCH = 400, 8


@pytest.fixture
def longer(asked: Asked, tmp_path: Path) -> Asked:
    """The small files with trainings of several hundred steps: seconds."""
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE.replace("steps = 12", f"steps = {STEPS}"))
    return replace(asked, recipe=recipe, seeds=1, out=tmp_path / "out")


@pytest.fixture(autouse=True)
def _every_step_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages of seconds are timed too, and their start isn't."""
    monkeypatch.setattr(hours, "FEW_STEPS", 10)
    monkeypatch.setattr(hours, "STAGE_S", 0.0)


@pytest.mark.parametrize(
    ("given", "step_s", "effort"),
    [(1.0, 0.005, 0.72), (6.0, 0.005, 1.0), (1.0, 0.019, 0.18), (1.0, 9.0, 0.01)],
)
def test_the_effort_is_what_the_steps_leave_room_for(
    given: float, step_s: float, effort: float
) -> None:
    """A million steps, rounded down to two digits."""
    assert effort_for(given, 20, 1_000_000, step_s) == effort


def test_starting_stages_takes_time_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hours, "STAGE_S", 45.0)
    assert effort_for(1.0, 40, 500_000, 0.01) == 0.36


def waves_of(here: Bench) -> WavesOf:
    return lambda prepared: expected(replace(here, prepared=prepared))


def test_a_step_is_timed_and_the_trial_leaves_nothing(longer: Asked) -> None:
    here = bench(longer, FEW)
    timed = trial(here.prepared, waves_of(here))
    assert timed is not None
    assert 1e-4 < timed.step_s < 1
    assert timed.frame_s == pytest.approx(timed.step_s / BATCH)
    assert not (longer.out / "trial").exists()
    assert not (longer.out / "stages").exists()


def test_hours_settle_the_effort_once_for_all(longer: Asked) -> None:
    """What was settled stays, though steps may take longer by then; other hours do not."""
    here, ears = bench(replace(longer, hours=1e-4), FEW), Ears()
    first = settled(here.prepared, waves_of(here), ears)
    (effort,) = first.asked.efforts
    kept = json.loads((longer.out / "hours.json").read_text())
    frames = BATCH * (3 * STEPS + 8)
    assert effort == kept["effort"] == effort_for(1e-4, 4, frames, kept["step_s"] / BATCH) < 1
    assert any(line.startswith(f"At effort {effort:g} training takes about") for line in ears.said)
    (longer.out / "hours.json").write_text(json.dumps({**kept, "effort": 0.5}))
    again = settled(here.prepared, waves_of(here), Ears())
    assert again.asked.efforts == (0.5,)
    day = bench(replace(longer, hours=24.0), FEW)
    assert settled(day.prepared, waves_of(day), Ears()).asked.efforts == (1.0,)


def test_stages_count_by_their_frames_and_scores_for_more(longer: Asked) -> None:
    """EGNN's batches of pre-training are twice as wide, and forces of scores are derived again."""
    here = bench(longer, replace(TERMS, kinds=(Kind.SCORES,)))
    scores, tuned = trainings(here)[Kind.SCORES, here.cases_of(Kind.SCORES)[0]]
    assert work_in(tuned) == BATCH * STEPS
    assert work_in(scores) == 2.5 * BATCH * STEPS
    (phase,) = tuned.phases
    wide = phase.model_copy(update={"fit": phase.fit.model_copy(update={"batch": 2 * BATCH})})
    assert work_in(tuned.model_copy(update={"phases": (wide,)})) == 2 * BATCH * STEPS


def test_what_is_finished_at_effort_1_makes_no_other_effort_larger(longer: Asked) -> None:
    """Its stages have other names than those of shorter trainings."""
    few = replace(FEW, kinds=(Kind.STANDARD,))
    whole = replace(few, kinds=(Kind.STANDARD, Kind.UNWEIGHTED))
    benchmark_asteroid(longer, few, Listener())
    here = bench(replace(longer, hours=1e-4), whole)
    (effort,) = settled(here.prepared, waves_of(here), Ears()).asked.efforts
    step_s = json.loads((longer.out / "hours.json").read_text())["step_s"]
    assert effort == effort_for(1e-4, 3, BATCH * (2 * STEPS + 8), step_s / BATCH) < 1


def test_few_steps_are_timed_too_where_hours_are_short(
    longer: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hours, "FEW_STEPS", 10_000)
    for asked_for, timed in ((None, False), (24.0, False), (1e-4, True)):
        ears, here = Ears(), bench(replace(longer, hours=asked_for), FEW)
        settled(here.prepared, waves_of(here), ears)
        assert any("Timing" in line for line in ears.said) == timed


def test_what_waits_takes_its_time_however_many_cores_there_are(longer: Asked) -> None:
    """Stage 1, the search of c, then the other seed at the best: three trainings in turn."""
    here = bench(replace(longer, seeds=2, hours=1e-4), replace(TERMS, kinds=(Kind.FULL,)))
    waves, chain = expected(here), STEPS + 8
    assert in_turn(waves, 1, lambda task: steps_in([task])) == 2 * STEPS + 3 * chain
    assert in_turn(waves, 100, lambda task: steps_in([task])) == STEPS + 2 * chain
    many = replace(here.prepared, parallel=100)
    (effort,) = settled(many, waves_of(here), Ears()).asked.efforts
    step_s = json.loads((longer.out / "hours.json").read_text())["step_s"]
    frames = BATCH * (STEPS + 2 * chain)
    assert effort == effort_for(1e-4, 5, frames, step_s / BATCH) < 1


def test_the_same_command_finds_its_stages_again(longer: Asked) -> None:
    once = replace(longer, hours=1e-4)
    terms = replace(FEW, kinds=(Kind.STANDARD,))
    found = benchmark_asteroid(once, terms, Listener())
    (row,) = found.rows
    assert 0 < row.effort < 1
    trained = {path: path.stat().st_mtime_ns for path in longer.out.glob("stages/*/stage.json")}
    assert [path.parent.name for path in trained] == [f"seed0-effort{row.effort:g}-all-standard"]
    again = benchmark_asteroid(once, terms, Listener())
    assert again.rows[0].score == row.score
    assert {path: path.stat().st_mtime_ns for path in trained} == trained


def test_a_benchmark_has_hours_unless_told_otherwise(asked: Asked) -> None:
    files = asked.accurate, asked.cheap
    unsaid = Shared(device="cpu").asked("asteroid", *files, test=None)
    assert (unsaid.hours, unsaid.efforts) == (USUAL_HOURS["cpu"], (1.0,))
    said = Shared(device="cpu", effort="0.1,1").asked("asteroid", *files, test=None)
    assert (said.hours, said.efforts) == (None, (0.1, 1.0))
    with pytest.raises(InputError, match="leave out one"):
        Shared(device="cpu", effort="1", hours=2.0).asked("asteroid", *files, test=None)
    with pytest.raises(InputError, match="hours of training"):
        bench(replace(asked, hours=-1.0), FEW)
