"""Casting, folders, mistakes on the command line, and what a rehearsal says it taught."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import report_runs as runs
import spring_files as springs
from typer.testing import CliRunner

from forgefield.platform.cli import app
from forgefield.platform.planning.budget import parse_budget
from forgefield.platform.planning.quote_parts import ErrorForecast
from forgefield.platform.planning.recipe import Methods, Recipe
from forgefield.platform.planning.request import Request
from forgefield.platform.replaying import lessons as lessons_module
from forgefield.platform.replaying.casting import cast as cast_for
from forgefield.platform.replaying.casting import rehearsal_folder, rehearsal_of
from forgefield.platform.replaying.lessons import _error
from forgefield.platform.replaying.parts import Lead
from forgefield.platform.run_folder import RunFolder
from forgefield.platform.run_spans import seconds_of, spans_of
from forgefield.platform.showing.rehearsal import error_words, training_words
from forgefield.storage.errors import InputError
from forgefield.storage.records import Tier

DEAR = {Tier.EMPIRICAL: 0.001, Tier.XTB: 0.01, Tier.DFT: 7.5, Tier.CCSD: 300.0}


def request_for(recipe: Recipe) -> Request:
    from replays import FORMALDEHYDE

    folder = RunFolder.at("runs/formaldehyde-20ccsd")
    return Request(FORMALDEHYDE, parse_budget("20ccsd"), recipe, folder)


@pytest.mark.parametrize(
    ("lead", "actors"),
    [
        (Lead.XTB, ["UFF", "UFF", "MMFF94", "GFN2-xTB"]),
        (Lead.DFT, ["UFF", "MMFF94", "GFN2-xTB", "PBE/def2-SVP"]),
    ],
)
def test_every_method_plays_a_part_above_its_tier(lead: Lead, actors: list[str]) -> None:
    methods = Methods()
    found = cast_for(methods, lead)
    assert found == {
        tier.value: f"{actor}, posing as {methods.of(tier)}"
        for tier, actor in zip(Tier, actors, strict=True)
    }


def test_a_rehearsals_request_has_other_labels_and_the_same_settings() -> None:
    real = request_for(Recipe.model_validate({"labels": {"book": "own.sqlite", "attempts": 5}}))
    made = rehearsal_of(real, Lead.XTB, DEAR)
    assert made.recipe.labels.book == ""
    assert made.recipe.labels.attempts == 5
    assert made.recipe.allocation == real.recipe.allocation
    assert {
        tier: made.recipe.labeler(tier).estimate(made.molecule).core_seconds for tier in Tier
    } == DEAR
    own = rehearsal_of(real, Lead.XTB, None)
    assert own.recipe.labeler(Tier.CCSD).estimate(made.molecule).core_seconds < 1
    assert rehearsal_folder(real.folder).root.name == "formaldehyde-20ccsd-rehearsal"


def test_nothing_stands_in_for_a_stand_in() -> None:
    once = rehearsal_of(request_for(Recipe()), Lead.XTB, DEAR)
    with pytest.raises(InputError, match="pose already"):
        rehearsal_of(once, Lead.XTB, DEAR)


@pytest.mark.parametrize(
    ("measured", "inside", "said"),
    [
        (1.5, True, "inside the band, the median 1.33 times too high"),
        (3.1, True, "inside"),
        (4.0, False, "outside"),
    ],
)
def test_the_forecast_is_held_against_the_measured_error(
    measured: float, inside: bool, said: str
) -> None:
    """The plan's band is for many frames; nine widen it by exp(±1.28·.4/3) in quadrature."""
    errors = SimpleNamespace(force_mae=measured, low=measured / 2, high=2 * measured)
    result = SimpleNamespace(evaluation=SimpleNamespace(force_field=errors, frames=9))
    plan = SimpleNamespace(forecast=ErrorForecast(low=1, median=2, high=3), recipe=Recipe())
    found = _error(cast("Any", plan), cast("Any", result))
    assert found.forecast is not None
    assert found.forecast.high == pytest.approx(
        2 * math.exp(math.hypot(math.log(1.5), 0.171)), 1e-3
    )
    assert found.inside is inside
    assert found.log_ratio == pytest.approx(math.log(2 / measured))
    assert said in error_words(found)
    plan.forecast = None
    without = _error(cast("Any", plan), cast("Any", result))
    assert (without.inside, without.log_ratio) == (None, None)
    assert "no forecast" in error_words(without)


def timeline(*steps: tuple[str, float, float | None]) -> list[dict[str, object]]:
    """Events of steps by begin and end; one without an end was cut off by the next driver."""
    events: list[dict[str, object]] = []
    for name, begin, end in steps:
        events += [{"time": begin, "event": "ray is up"}, {"time": begin, "event": f"{name} began"}]
        if end is not None:
            events.append({"time": end, "event": f"{name} ended"})
    return events


def test_wall_time_is_that_of_all_drivers_those_that_were_killed_too() -> None:
    events = timeline(
        ("labelling", 0.0, 3.0), ("labelling", 100.0, None), ("labelling", 200.0, 204.5)
    )
    events.insert(5, {"time": 140.0, "event": "round 1 trained"})
    assert seconds_of(spans_of(events), ("labelling",)) == 3.0 + 40.0 + 4.5


def test_trainings_of_rounds_are_no_labelling(tmp_path: Path) -> None:
    """Of 100 s with the labels, two rounds have trained for 30."""
    folder = RunFolder.at(tmp_path / "run")
    folder.create()
    plan = runs.toy_plan(folder)
    quotes = [SimpleNamespace(tier=tier, done=1, failed=0, spent=1.0) for tier in Tier]
    status = SimpleNamespace(tiers=quotes, spent=4.0)
    events = timeline(("labelling", 0.0, 100.0), ("training", 100.0, 107.0))
    errors = {"force_mae": 1.0, "low": 0.5, "high": 2.0}
    result = SimpleNamespace(
        evaluation=SimpleNamespace(force_field=SimpleNamespace(**errors), frames=9)
    )
    kept: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lessons_module, "Rehearsed", lambda **facts: kept.update(facts))
        lessons_module.lessons(plan, cast("Any", status), events, cast("Any", result), 30.0, 13.8)
        assert (kept["wall_s"], kept["training_s"]) == (70.0, 37.0)
        assert (kept["effort"], kept["real_effort"]) == (plan.training_effort, 13.8)


@pytest.mark.parametrize(("effort", "is_said"), [(1.0, True), (13.8, False)])
def test_a_shorter_training_than_the_real_one_is_said(effort: float, is_said: bool) -> None:
    found = SimpleNamespace(training_s=60.0, effort=effort, real_effort=13.8)
    said = training_words(cast("Any", found))
    assert ("the real run takes 13.8 ×" in said) is is_said


def invoked(words: list[str]) -> str:
    answer = CliRunner().invoke(app, words)
    assert isinstance(answer.exception, InputError), answer.output
    return str(answer.exception)


@pytest.mark.parametrize("command", ["run", "plan", "rehearse"])
def test_mistakes_in_replayed_recipes_come_before_anything_is_spent(
    tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    springs.write(tmp_path / "a.npz", springs.distortions(50, 1), springs.ACCURATE)
    said = '[replay.ccsd]\nfile = "{}"\nmethod = "SPRINGS"\nprice = 300.0\nunit = "{}"\n'
    ask = [command, "-b", "20ccsd", "--recipe", "r.toml", "-m"]
    recipe = tmp_path / "r.toml"
    if command == "rehearse":
        recipe.write_text(said.format("a.npz", "kcal/mol"))
        assert "nothing to rehearse" in invoked([*ask, "formaldehyde"])
        assert "not both" in invoked(["rehearse", "plan.json", "-m", "water"])
        return
    recipe.write_text(said.format("nowhere.npz", "eV"))
    assert "nowhere.npz" in invoked([*ask, "formaldehyde"])
    recipe.write_text(said.format("a.npz", "kcal/mol"))
    assert "holds another molecule than ethanol" in invoked([*ask, "ethanol"])
    recipe.write_text(said.format("a.npz", "eV"))
    assert "under [replay.ccsd]" in invoked([*ask, "formaldehyde"])
    assert not list(tmp_path.glob("**/ledger.sqlite"))
    assert not list(tmp_path.glob("runs/**/configurations.npz"))


def test_a_report_says_what_was_not_real(tmp_path: Path) -> None:
    from replays import section

    from forgefield.platform.reporting.stand_ins import disclaimer, source_of_files

    def plan_of(recipe: Recipe) -> Any:
        quotes = {tier: SimpleNamespace(core_seconds=DEAR[tier], tier=tier) for tier in Tier}
        return SimpleNamespace(
            recipe=recipe, molecule=SimpleNamespace(name="ethanol"), tier=quotes.__getitem__
        )

    real = plan_of(Recipe())
    assert (disclaimer(real), source_of_files(real)) == ("", "")
    files = plan_of(Recipe.model_validate({"replay": {"ccsd": section(tmp_path / "a.npz")}}))
    assert "SPRINGS/one in a.npz" in source_of_files(files)
    assert "stated price (core-seconds: 300 for ccsd)" in disclaimer(files)
    posing = plan_of(rehearsal_of(request_for(Recipe()), Lead.XTB, DEAR).recipe)
    assert "was a rehearsal" in disclaimer(posing)
    assert "charged what the second was quoted at" in disclaimer(posing)
    assert "quoted at" not in disclaimer(
        plan_of(rehearsal_of(request_for(Recipe()), Lead.XTB, None).recipe)
    )
