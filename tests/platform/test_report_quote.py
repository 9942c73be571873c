"""Quote against outcome for a run of one round, and for folders of older versions."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from report_runs import COSTS, Page, copy_of, read
from scipy.special import stdtrit

from forgefield.platform.forecasting.outcomes import Kind
from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.plan_files import load_plan
from forgefield.platform.planning.quote_parts import TrainingTime
from forgefield.platform.reporting.errors_seen import errors_seen
from forgefield.platform.reporting.facts import Facts, read_facts
from forgefield.platform.reporting.promises import Ends, Promise, Unit, labelling_s, promises
from forgefield.platform.reporting.quote import quote_section
from forgefield.platform.reporting.report import write_report
from forgefield.platform.reporting.timeline import labelling_share
from forgefield.platform.run_folder import RunFolder
from forgefield.platform.run_spans import Span, merged
from forgefield.platform.stand_ins.settings import Posed
from forgefield.storage.frame_store import load_frames
from forgefield.storage.records import Purpose, Tier
from forgefield.storage.units import KCAL_PER_MOL_PER_EV


@pytest.fixture
def facts(reported: RunFolder) -> Facts:
    return read_facts(reported)


def plan_of(facts: Facts) -> Plan:
    assert facts.plan is not None
    return facts.plan


def test_costs_are_those_of_the_labels_bought(
    reported: RunFolder, facts: Facts, page: Page
) -> None:
    frames = load_frames(reported.frames, tuple(Purpose)).of_tier(Tier.CCSD)
    cost_F = frames.of_purpose(Purpose.TRAIN, Purpose.VALIDATION, Purpose.HOLDOUT).cost_F
    found = next(p for p in promises(facts, plan_of(facts)) if p.name == "ccsd label")
    assert found.found.value == pytest.approx(cost_F.mean(), rel=1e-6)
    half = stdtrit(len(cost_F) - 1, 0.975) * cost_F.std(ddof=1) / math.sqrt(len(cost_F))
    assert found.found.high - found.found.value == pytest.approx(half, rel=1e-4)
    quoted = COSTS[Tier.CCSD]
    few = math.sqrt((1 / len(cost_F) + 1 / quoted.measured) / (1 + 1 / quoted.measured))
    low, high = (48.0 * (end / 48.0) ** few for end in (quoted.low, quoted.high))
    assert (found.quoted.low, found.quoted.high) == pytest.approx((low, high))
    assert found.kept == (low <= cost_F.mean() <= high)
    row = page.row("quote", "ccsd label")
    assert row[3] == f"{cost_F.mean() / quoted.core_seconds:#.3g}"
    assert row[4] == f"{abs(math.log(cost_F.mean() / quoted.core_seconds)):.2f}"


def test_few_labels_of_very_different_cost_are_shown(facts: Facts) -> None:
    """Their interval reaches below zero, where no cost is."""
    (first, *_) = (row for row in facts.tally if row.tier is Tier.CCSD)
    row = replace(
        first, purpose=Purpose.TRAIN, bought=3, mean_core_seconds=5.0, std_core_seconds=8.0
    )
    wild = replace(facts, tally=(row,))
    (cost,) = (p for p in promises(wild, plan_of(wild)) if p.unit is Unit.COST)
    assert cost.found.low == 0.0
    rows = quote_section(wild).tables[1].rows
    assert next(row for row in rows if row[0] == cost.name)[2] == "5 (0 to 24.9) s"


def test_the_mean_of_many_labels_is_held_against_the_range_of_a_mean(facts: Facts) -> None:
    """57 core-s lie in the range of one label, 40 to 60, and far off for a mean of a hundred."""
    (first, *_) = (row for row in facts.tally if row.tier is Tier.CCSD)
    quote = plan_of(facts).tier(Tier.CCSD)
    tiers = [
        quote.model_copy(update={"measured": 20}) if q == quote else q for q in plan_of(facts).tiers
    ]
    plan = plan_of(facts).model_copy(update={"tiers": tuple(tiers)})

    def kept(mean: float, labels: int) -> bool | None:
        row = replace(first, purpose=Purpose.TRAIN, bought=labels, mean_core_seconds=mean)
        (cost,) = (p for p in promises(replace(facts, tally=(row,)), plan) if p.unit is Unit.COST)
        return cost.kept

    assert kept(57.0, 1) is True
    assert kept(57.0, 100) is False
    assert kept(49.0, 100) is True


def test_labels_at_a_stated_price_prove_nothing_of_costs(facts: Facts) -> None:
    plan = plan_of(facts)
    posing = plan.recipe.posing.model_copy(update={"ccsd": Posed(price=48.0)})
    recipe = plan.recipe.model_copy(update={"posing": posing})
    stated = plan.model_copy(update={"recipe": recipe})
    names = {each.name for each in promises(facts, stated)}
    assert {"ccsd label", "labelling time"} & names == set()
    assert {"xtb label", "all labels"} <= names
    assert labelling_share(replace(facts, plan=stated)) is None


def test_the_last_training_is_held_against_its_quote(facts: Facts) -> None:
    """All its starts together; those of rounds belong to labelling."""
    spans = [span for span in facts.spans if span.name == "training"]
    seconds = sum(end - start for start, end in merged(spans))
    for quoted_s, kept in ((seconds * 1.2, True), (seconds * 2, False)):
        took = TrainingTime(core_seconds=1.0, wall_s=quoted_s, factor=1.5)
        plan = plan_of(facts).model_copy(update={"training_time": took})
        (found,) = (each for each in promises(facts, plan) if each.name == "training time")
        assert (found.found.value, found.kept) == (pytest.approx(seconds), kept)
    cut_off = replace(facts, spans=tuple(replace(span, finished=False) for span in facts.spans))
    assert "training time" not in {each.name for each in promises(cut_off, plan)}


def test_labels_planned_and_done(facts: Facts, page: Page) -> None:
    for quote in plan_of(facts).tiers:
        done = sum(row.done for row in facts.tally if row.tier == quote.tier)
        assert page.row("quote", quote.tier.value)[1:3] == [f"{quote.total:,}", f"{done:,}"]
    assert page.row("quote", "dft")[3] == "3"


def test_the_forecast_is_held_against_the_hold_out(facts: Facts, page: Page) -> None:
    forecast, found = plan_of(facts).forecast, facts.evaluation
    assert forecast is not None
    assert found is not None
    error = found.force_field.force_mae
    inside = forecast.low <= error <= forecast.high
    assert page.row("quote", "error (plan)")[5] == ("yes" if inside else "no")
    log_ratio = abs(math.log(error / forecast.median))
    assert f"|ln(measured/forecast)| is {log_ratio:.2f}" in page.text["quote"]
    assert "error (last round)" not in page.text["quote"]


def test_one_round_has_a_band_of_its_own_training(facts: Facts, page: Page) -> None:
    seen, outcome = errors_seen(facts), facts.outcome
    assert seen is not None
    assert outcome is not None
    whole = [o.error for o in seen.outcomes if o.kind is Kind.TUNED and o.counts == seen.end]
    best = outcome.best.finetune.validation
    assert best is not None
    assert any(error == pytest.approx(best * KCAL_PER_MOL_PER_EV) for error in whole)
    band = seen.band(Kind.TUNED)
    medians = [each.median for each in band.forecasts]
    assert (np.diff(medians) <= 1e-9).all(), "more labels never make it worse"
    assert "Validation errors of the one training" in page.text["curve"]
    assert "arms" not in page.text
    assert "round 0" not in page.text["timeline"]


def test_older_plans_without_a_forecast_have_a_report(reported: RunFolder, tmp_path: Path) -> None:
    folder = copy_of(reported, tmp_path)
    plan = load_plan(folder.plan)
    old = plan.model_copy(update={"forecast": None, "alternatives": ()})
    folder.plan.write_text(old.model_dump_json())
    page = read(write_report(folder, folder.report))
    assert "error (plan)" not in page.text["quote"]
    assert "the plan's forecast" not in page.text["curve"]
    assert page.row("quote", "ccsd label")


def test_times_of_lives_that_overlap_count_once(facts: Facts) -> None:
    spans = (
        Span("calibration", 0.0, 10.0, finished=True),
        Span("labelling", 10.0, 40.0, finished=False),
        Span("labelling", 30.0, 60.0, finished=True),
        Span("training", 60.0, 90.0, finished=True),
    )
    assert labelling_s(replace(facts, spans=spans)) == 60.0


def test_a_quote_without_a_range_neither_holds_nor_fails() -> None:
    open_ended = Promise("all labels", Unit.MONEY, Ends(50.0), Ends(40.0))
    assert open_ended.kept is None
    assert open_ended.log_error == pytest.approx(math.log(1.25))
    assert Promise("e", Unit.ERROR, Ends(1, 0.5, 2), Ends(2.1)).kept is False
    assert Promise("e", Unit.ERROR, Ends(1, 0.5, 2), Ends(2.0)).kept is True


def test_failures_have_a_price_in_the_budgets_unit(page: Page) -> None:
    price = 27.0 / COSTS[Tier.CCSD].core_seconds
    assert f"3 failed attempts, {price:.3g} ccsd or 27 core-s" in page.text["failures"]
