"""The report of a campaign in rounds, against its documents, ledger and force fields."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from report_runs import Page, copy_of, kcal, read
from spring_campaign import PRICES, Campaign, recipe_with

from forgefield.platform.choosing.picking import Arm
from forgefield.platform.evaluating import Evaluation, evaluate_run
from forgefield.platform.forecasting.counts import Costs, Counts
from forgefield.platform.forecasting.error_model import Posterior
from forgefield.platform.forecasting.outcomes import Training
from forgefield.platform.reporting.arm_errors import round_arms
from forgefield.platform.reporting.facts import read_facts
from forgefield.platform.reporting.quote import why_it_ended
from forgefield.platform.reporting.report import write_report
from forgefield.platform.reporting.spend_over_time import paid_by
from forgefield.platform.rounds.choices import load_choice
from forgefield.platform.rounds.documents import Band, Course, RoundFolder, ended_rounds
from forgefield.platform.run_folder import RunFolder
from forgefield.platform.training import publish
from forgefield.storage.frame_store import load_frames
from forgefield.storage.ledger import Ledger
from forgefield.storage.records import Purpose, Tier
from forgefield.storage.units import from_micro
from forgefield.trainers.force_field import ForceField
from forgefield.trainers.stages.asteroid import plain_runner, train


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A campaign of springs with its last training and its errors on the hold-out."""
    root = tmp_path_factory.mktemp("rounds") / "springs-60ccsd"
    folder = RunFolder.at(root)
    folder.create()
    campaign = Campaign(root, "60ccsd", recipe_with())
    with folder.timed("labelling"):
        campaign.run()
    folder.plan.write_text(campaign.plan.model_dump_json())
    settings, cheap = campaign.recipe.training, (Tier.XTB, Tier.DFT)
    outcome = train(folder.frames, folder.training, settings, plain_runner(), cheap_tiers=cheap)
    folder.outcome.write_text(outcome.model_dump_json())
    publish(outcome, load_frames(folder.frames).of_tier(Tier.CCSD), folder)
    folder.evaluation.write_text(evaluate_run(folder).model_dump_json())
    return folder


@pytest.fixture(scope="module")
def shown(folder: RunFolder) -> Page:
    return read(write_report(folder, folder.report))


def test_rounds_are_told_as_their_documents_say(folder: RunFolder, shown: Page) -> None:
    records = ended_rounds(folder)
    assert len(records) >= 2
    unit = PRICES[Tier.CCSD]
    for record in records:
        row = shown.row("curve", str(record.number))
        assert row[1:4] == [f"{count:,}" for count in record.counts.to_counts().triple]
        assert float(row[4]) == pytest.approx(record.error, rel=5e-3)
        assert float(row[6].split()[0]) == pytest.approx(record.spent / unit, rel=5e-3)
        assert (row[5] == "–") == (record.number == 0)
        assert f"{record.why}." in shown.text["curve"]


def test_the_band_is_the_posterior_of_the_rounds_errors_alone(
    folder: RunFolder, shown: Page
) -> None:
    facts = read_facts(folder)
    assert facts.plan is not None
    usual = facts.plan.round_training
    outcomes = [e.to_outcome(usual) for record in ended_rounds(folder) for e in record.outcomes]
    frames = load_frames(folder.frames).of_purpose(Purpose.TRAIN, Purpose.CALIBRATION)
    tiers = (Tier.CCSD, Tier.DFT, Tier.XTB)
    counts = Counts(*(len(frames.of_tier(tier)) for tier in tiers))
    recipe = facts.plan.recipe
    assert {each.training for each in outcomes} == {Training(recipe.rounds.effort)}
    last = Training(1.0, recipe.training.members)
    judged = Evaluation.model_validate_json(folder.evaluation.read_text())
    posterior = Posterior.of(outcomes, recipe.forecast, 5, last)
    found = posterior.forecast(counts, frames=judged.frames)
    said = shown.text["curve"]
    assert f"{found.median:#.3g} ({found.low:#.3g} to {found.high:#.3g} in 8 of 10" in said
    error = judged.force_field.force_mae
    place = "inside" if found.low <= error <= found.high else "outside"
    assert f"{error:#.3g} kcal/mol/Å at the end is {place} the forecast" in said
    gains = posterior.gain_per_cost(counts, Costs(*(PRICES[tier] for tier in tiers)))
    target, middle = (1000 * each for each in (gains.target, gains.middle))
    assert f"fall by {target:#.3g} % on ccsd labels and by {middle:#.3g} % on dft ones." in said


def test_a_round_was_forecast_for_a_round_and_decides_for_the_last_training(
    folder: RunFolder,
) -> None:
    plan, (first, second, *_) = read_facts(folder).plan, ended_rounds(folder)
    assert plan is not None
    seen = [each.to_outcome(plan.round_training) for each in first.outcomes]
    posterior = Posterior.of(seen, plan.recipe.forecast, 5, plan.last_training)
    counts, frames = second.counts.to_counts(), second.outcomes[0].frames
    short = posterior.aimed(plan.round_training).forecast(counts, frames=frames)
    assert second.expected == Band.of(short)
    assert first.ahead is not None
    assert first.ahead.median < 0.95 * first.error, "longer, and of several networks"


def test_arms_are_judged_by_the_force_field_before_the_round(
    folder: RunFolder, shown: Page
) -> None:
    """Frames are found by geometry here, by their key in the report."""
    frames = load_frames(folder.frames)
    compared = 0
    for record in ended_rounds(folder):
        before = RoundFolder.of(folder, record.number)
        model = ForceField.load(before.root / record.members[0])
        choice = load_choice(RoundFolder.of(folder, record.number + 1).choice) or ()
        for tier in {each.tier for each in choice}:
            own = frames.of_tier(tier)
            errors_A3 = np.abs(kcal(model.predict(own)[1] - own.forces_A3))
            error_of = {
                own.positions_A3[own.atoms_of(at)].tobytes(): errors_A3[own.atoms_of(at)].mean()
                for at in range(len(own))
            }
            row = shown.row("arms", f"{record.number + 1}, {tier}")
            wanted = [each for each in choice if each.tier == tier]
            done = [each for each in wanted if each.positions_A3.tobytes() in error_of]
            part = "" if len(done) == len(wanted) else f" of {len(wanted)}"
            assert row[1] == f"{len(done)}{part}"
            for cell, arm in zip(row[2:4], Arm, strict=True):
                errors = [error_of[w.positions_A3.tobytes()] for w in done if w.arm is arm]
                if errors:
                    assert cell == f"{np.mean(errors):#.3g} on {len(errors)}"
                    compared += 1
    assert compared >= 3


def test_what_each_tier_was_paid_adds_up_to_the_balance(folder: RunFolder) -> None:
    facts = read_facts(folder)
    with Ledger(folder.ledger_url, read_only=True) as ledger:
        balance, tally, entries = ledger.balance(), ledger.tally(), ledger.entries()
    at = np.array([entry.at for entry in entries])
    whole = np.zeros(len(at))
    for tier in Tier:
        paid = paid_by(facts, tier, at)
        assert (np.diff(paid) >= 0).all()
        own = sum(row.spent_micro for row in tally if row.tier == tier)
        assert paid[-1] == pytest.approx(from_micro(own))
        whole += paid
    assert whole[-1] == pytest.approx(from_micro(balance.spent_micro))


def test_rounds_stand_in_spend_timeline_and_methods(folder: RunFolder, shown: Page) -> None:
    for record in ended_rounds(folder):
        assert f"round {record.number}" in shown.text["spend"]
        assert f"round {record.number}" in shown.text["timeline"]
    assert f"bought in {len(ended_rounds(folder))} rounds" in shown.text["methods"]
    assert "Upright lines" in shown.text["spend"]


def test_a_campaign_that_stopped_early_says_why(folder: RunFolder, tmp_path: Path) -> None:
    stopped = copy_of(folder, tmp_path)
    last = ended_rounds(stopped)[-1]
    why = "the next 25 target labels should gain 0.02 kcal/mol/Å; stopped, 31ccsd returned"
    update = {"decision": Course.STOP, "spend_rest": False, "why": why, "ahead": None}
    RoundFolder.of(stopped, last.number).write(last.model_copy(update=update))
    facts = read_facts(stopped)
    assert facts.plan is not None
    assert why_it_ended(facts, facts.plan) == why
    page = read(write_report(stopped, stopped.report))
    assert f"Why labels ended: {why}." in " ".join(page.text["quote"].split())
    assert page.row("quote", "error (last round)")[1].startswith(f"{last.band.median:#.3g}")


def test_rounds_whose_force_fields_are_gone_leave_a_report(
    folder: RunFolder, tmp_path: Path
) -> None:
    bare = copy_of(folder, tmp_path)
    for record in ended_rounds(bare):
        shutil.rmtree(RoundFolder.of(bare, record.number).training)
    assert round_arms(read_facts(bare)) == ()
    page = read(write_report(bare, bare.report))
    assert "its force fields are gone" in page.text["arms"]
    assert page.row("curve", "0")


def test_the_same_rounds_give_the_same_bytes(
    folder: RunFolder, shown: Page, tmp_path: Path
) -> None:
    assert shown.text
    assert write_report(folder, tmp_path / "again.html").read_bytes() == folder.report.read_bytes()
