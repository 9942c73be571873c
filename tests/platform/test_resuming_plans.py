"""A folder that holds a plan goes on with it, or says what is asked for otherwise; never silently.

The plans are calibrated by hand: nothing is computed here.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from spring_campaign import Quiet

from forgefield.labelers.molecules import find_molecule
from forgefield.platform.campaign import Campaign
from forgefield.platform.commands.campaign_options import Asked, request_for
from forgefield.platform.planning import target_budget
from forgefield.platform.planning.budget import parse_budget
from forgefield.platform.planning.machine import Machine
from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.plan_files import load_plan
from forgefield.platform.planning.planner import make_plan
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.planning.request import (
    Request,
    claim_folder,
    known_plan,
    request_of_plan,
)
from forgefield.platform.planning.tier_quotes import TierCost
from forgefield.platform.planning.training_length import LONGEST, training_effort
from forgefield.platform.planning.training_time import frame_time
from forgefield.platform.replaying import rehearsal
from forgefield.platform.replaying.parts import Lead, Length, Prices
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.errors import InputError
from forgefield.storage.records import Tier

HERE = Machine(nodes=1, cores=2, memory_bytes=16 * 10**9)
SECONDS = {Tier.EMPIRICAL: 1.23456789e-4, Tier.XTB: 3e-3, Tier.DFT: 2.0, Tier.CCSD: 16.123456789}
METHANOL = find_molecule("methanol")


def planned(folder: RunFolder, budget: str, target: float | None, recipe: Recipe) -> Plan:
    """A calibrated plan of methanol in its folder; measured costs are rounded by the ledger."""
    costs = {t: TierCost(round(s, 6), s / 2, s * 2, 10**9, 2) for t, s in SECONDS.items()}
    asked = parse_budget(budget)
    frame, place = frame_time(METHANOL, recipe.training), str(folder.root)
    plan = make_plan(METHANOL, asked, costs, (HERE,), recipe, place, target, frame)
    folder.create()
    folder.plan.write_text(plan.model_dump_json())
    return plan


def known_time(folder: RunFolder) -> float:
    """Core-seconds of training by the plan in the folder."""
    time = load_plan(folder.plan).training_time
    assert time is not None
    return time.core_seconds


def edited(plan: Plan, path: Path, train: int) -> Path:
    """The plan with fewer target labels to train on."""
    document = json.loads(plan.model_dump_json())
    document["tiers"][3]["labels"]["train"] = train
    path.write_text(json.dumps(document))
    return path


def test_a_plan_that_was_edited_is_not_taken_for_the_folders(tmp_path: Path) -> None:
    folder = RunFolder.at(tmp_path / "run")
    plan = planned(folder, "40ccsd", 0.5, Recipe())
    same = edited(plan, tmp_path / "same.json", plan.tier(Tier.CCSD).labels["train"])
    assert known_plan(request_of_plan(same, None)) == plan
    other = edited(plan, tmp_path / "other.json", 5)
    with pytest.raises(InputError, match=r"ccsd labels: .* there, .* 5 train.*asked for"):
        known_plan(request_of_plan(other, None))
    assert known_plan(request_of_plan(folder.root, None)) == plan


def test_labels_of_an_estimated_plan_may_differ_from_the_calibrated_ones(tmp_path: Path) -> None:
    """`plan --no-calibrate`, `run plan.json`, kill, the same again."""
    folder = RunFolder.at(tmp_path / "run")
    plan = planned(folder, "40ccsd", None, Recipe())
    estimates = {t: TierCost(2 * s, s, s * 4, 10**9) for t, s in SECONDS.items()}
    budget, place = parse_budget("40ccsd"), str(folder.root)
    quoted = make_plan(METHANOL, budget, estimates, (HERE,), Recipe(), place)
    (tmp_path / "quoted.json").write_text(quoted.model_dump_json())
    assert known_plan(request_of_plan(tmp_path / "quoted.json", None)) == plan


@pytest.mark.parametrize("effort", [3.5, None])
def test_settings_that_may_change_are_followed_and_written_down(
    effort: float | None, tmp_path: Path
) -> None:
    """Another length of training, another committee, threads and rounds: not the labels."""
    folder = RunFolder.at(tmp_path / "run")
    before = Recipe.model_validate({"training": {"effort": 7.0}})
    planned(folder, "5000ccsd", None, before)
    first = Request(METHANOL, parse_budget("5000ccsd"), before, folder)
    assert known_plan(first) == load_plan(folder.plan), "nothing has changed"
    said = {
        "training": {"effort": effort, "members": 5},
        "labels": {"threads": 2, "attempts": 9},
        "rounds": {"most_rounds": 2},
    }
    recipe = Recipe.model_validate(said)
    plan = known_plan(replace(first, recipe=recipe))
    assert plan is not None
    own = training_effort(plan.cap, len(METHANOL.numbers), recipe)
    assert plan.training_effort == own
    assert own == (effort or LONGEST)
    assert plan.training.finetune.steps == recipe.training.longer(own).finetune.steps
    assert plan.training_time is not None
    assert plan.training_time.core_seconds != known_time(folder)
    Campaign(folder, HERE, Quiet()).resume(plan)
    written = load_plan(folder.plan)
    assert written == plan
    assert (written.recipe, written.threads, written.slots) == (recipe, 2, 1)
    assert [quote.labels for quote in written.tiers] == [quote.labels for quote in plan.tiers]
    again = replace(first, recipe=before)
    assert known_plan(again) is not None


@pytest.mark.parametrize(
    ("target", "budget", "recipe", "what"),
    [
        (0.4, "40ccsd", Recipe(), "target error: 0.5 .* 0.4 "),
        (None, "40ccsd", Recipe(), "target error: 0.5 .*none asked"),
        (0.5, "41ccsd", Recipe(), "budget: 40ccsd there, 41ccsd asked for"),
        (0.5, "40ccsd", Recipe.model_validate({"prices": {"core_hour": 1.0}}), "prices in its"),
        (0.5, "40ccsd", Recipe.model_validate({"sampling": {"frames": 7}}), "sampling in its"),
    ],
)
def test_what_is_settled(
    target: float | None, budget: str, recipe: Recipe, what: str, tmp_path: Path
) -> None:
    folder = RunFolder.at(tmp_path / "run")
    plan = planned(folder, "40ccsd", 0.5, Recipe())
    asked = Request(METHANOL, parse_budget("40ccsd"), Recipe(), folder, target=0.5)
    assert known_plan(asked) == plan
    with pytest.raises(InputError, match=what):
        known_plan(replace(asked, budget=parse_budget(budget), recipe=recipe, target=target))


def test_a_target_alone_goes_on_though_its_budget_would_be_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = Asked("methanol", None, "0.5kcal", None, None, None, None)
    first = request_for(asked)
    assert first.folder.root == tmp_path / "runs/methanol-0.5kcal"
    first.folder.create()
    claim_folder(first)
    monkeypatch.setattr(target_budget, "budget_for_target", lambda *_: parse_budget("777ccsd"))
    assert request_for(asked).budget == first.budget, "claimed, killed while it calibrated"
    assert request_for(replace(asked, workdir=tmp_path / "x")).budget == parse_budget("777ccsd")
    plan = planned(first.folder, "44ccsd", 0.5, Recipe())
    assert known_plan(request_for(asked)) == plan
    asked_for_both = replace(asked, budget="45ccsd")
    assert request_for(asked_for_both).folder.root == tmp_path / "runs/methanol-45ccsd"


@pytest.mark.parametrize("target", ["0.5kcal", None])
def test_a_rehearsal_goes_on_at_the_prices_that_it_began_with(
    target: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    request = request_for(Asked("methanol", "40ccsd", target, None, None, None, None))
    quoted = planned(request.folder, "40ccsd", request.target, Recipe())
    exact = [q.model_copy(update={"core_seconds": SECONDS[q.tier]}) for q in quoted.tiers]
    quoted = quoted.model_copy(update={"tiers": tuple(exact)})

    def again(plan: Plan | None, prices: Prices = Prices.QUOTED) -> Request:
        return rehearsal.request_to_rehearse(request, plan, Lead.XTB, prices, None)

    first = again(quoted)
    assert first.target == request.target
    rehearsal.keep_recipe(first.folder, first.recipe)
    killed = again(None)
    assert killed.recipe.posing == first.recipe.posing, "before there was a plan"
    posing = [first.recipe.posing.of(tier) for tier in Tier]
    assert [each.price for each in posing if each] == list(SECONDS.values())
    plan = planned(first.folder, "40ccsd", first.target, first.recipe)
    assert plan.tier(Tier.CCSD).core_seconds != SECONDS[Tier.CCSD], "the ledger rounds"
    assert known_plan(again(None)) == plan
    rehearsal.recipe_of(first.folder).unlink()
    assert known_plan(again(None)) == plan, "one that an earlier version began"
    with pytest.raises(InputError, match="--prices quoted"):
        again(None, Prices.OWN)


def test_a_rehearsal_trains_as_long_as_the_real_run_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dear labels deserve long training; those that stand in for them have none of their cost."""
    monkeypatch.chdir(tmp_path)
    request = request_for(Asked("methanol", "5000ccsd", None, None, None, None, None))
    quoted = planned(request.folder, "5000ccsd", None, Recipe())
    assert quoted.training_effort > 5

    def asked(length: Length, prices: Prices = Prices.QUOTED) -> Request:
        return rehearsal.request_to_rehearse(request, quoted, Lead.XTB, prices, None, length)

    short = asked(Length.SHORT)
    assert planned(short.folder, "5000ccsd", None, short.recipe).training_effort == 1
    short.folder.plan.unlink()
    for prices in Prices:
        long = asked(Length.QUOTED, prices)
        plan = planned(long.folder, "5000ccsd", None, long.recipe)
        assert plan.training_effort == quoted.training_effort
        assert plan.last_training == quoted.last_training
        assert plan.forecast == quoted.forecast, "so its forecast is rehearsed, too"
        long.folder.plan.unlink()
    rehearsal.keep_recipe(long.folder, long.recipe)
    again = rehearsal.request_to_rehearse(request, None, Lead.XTB, Prices.OWN, None, Length.QUOTED)
    assert again.recipe.training == long.recipe.training, "whatever costs are known by now"


def test_a_rehearsal_of_a_target_alone_keeps_its_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    request = request_for(Asked("methanol", None, "0.5kcal", None, None, None, None))
    first = rehearsal.request_to_rehearse(request, None, Lead.XTB, Prices.QUOTED, None)
    rehearsal.keep_recipe(first.folder, first.recipe)
    plan = planned(first.folder, "44ccsd", 0.5, first.recipe)
    again = rehearsal.request_to_rehearse(request, None, Lead.XTB, Prices.QUOTED, None)
    assert known_plan(again) == plan
