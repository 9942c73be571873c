"""Every number of a report is that of the run's files, found another way."""

import json
import re
from dataclasses import replace

import numpy as np
from report_runs import BOUGHT, COSTS, Page, kcal

from forgefield.labelers.depiction import kinds_of
from forgefield.labelers.molecules import find_molecule
from forgefield.platform.evaluating import Evaluation, verdict
from forgefield.platform.planning.plan import Plan
from forgefield.platform.reporting.facts import read_facts
from forgefield.platform.reporting.predictions import curve_points, gammas
from forgefield.platform.reporting.training import learning_section
from forgefield.platform.run_folder import RunFolder
from forgefield.platform.screen.wording import three_digits
from forgefield.storage.elements import hill
from forgefield.storage.frame_store import load_frames
from forgefield.storage.ledger import Ledger
from forgefield.storage.records import (
    Purpose,
    Tier,
)
from forgefield.storage.units import KCAL_PER_MOL_PER_EV
from forgefield.trainers.loading import load_force_field
from forgefield.trainers.stages.asteroid import (
    TrainingOutcome,
)


def test_headline_gives_the_errors_of_the_hold_out(reported: RunFolder, page: Page) -> None:
    held = load_frames(reported.frames, (Purpose.HOLDOUT,))
    said = page.text["main"]
    figures = []
    for folder in (reported.force_field, reported.baseline):
        predicted = load_force_field(folder).predict(held)[1]
        mae = float(np.abs(kcal(predicted - held.forces_A3)).mean())
        figures.append(f"{mae:#.3g}")
    assert len(set(figures)) == 2
    assert said.index(figures[0]) < said.index(figures[1])
    parity = page.text["parity"]
    assert parity.index(f"MAE {figures[0]}") < parity.index(f"MAE {figures[1]}")
    found = json.loads(reported.evaluation.read_text())
    assert (
        f"95 %: {found['force_field']['low']:#.3g} to {found['force_field']['high']:#.3g}" in said
    )
    assert verdict(Evaluation.model_validate(found)) in said.replace("\u00a0", " ")
    assert "With only 4 test frames the interval is rough." in said
    assert "Student" in page.text["methods"]


def test_spend_and_cap_are_the_ledgers(reported: RunFolder, page: Page) -> None:
    with Ledger(reported.ledger_url, read_only=True) as ledger:
        balance = ledger.balance()
    label = COSTS[Tier.CCSD].core_seconds
    assert f"{three_digits(balance.spent_micro / 1e6 / label)} ccsd" in page.text["main"]
    assert f"of {three_digits(balance.cap_micro / 1e6 / label)} ccsd" in page.text["main"]
    assert f"{three_digits(balance.spent_micro / 1e6 / 3600)} core-h" in page.text["spend"]


def test_labels_table_counts_and_costs(reported: RunFolder, page: Page) -> None:
    cost = load_frames(reported.frames, tuple(Purpose)).of_tier(Tier.CCSD).cost_F
    row = page.row("labels", "ccsd")
    assert row[1] == "CCSD(T)/cc-pVDZ, frozen core"
    assert row[3:5] == ["15", "0"]
    assert row[5] == f"{cost.mean():.3g} ± {cost.std(ddof=1):.2g} s"
    assert page.row("labels", "dft")[3:5] == ["12", "3"]
    assert page.row("labels", "all")[3] == str(sum(BOUGHT.values()))
    assert "tblite 0.8.0" in page.text["labels"]


def test_failures_are_grouped_with_their_cost(page: Page) -> None:
    assert page.row("failures", "NotConverged") == [
        "NotConverged", "SCF <did not> converge", "dft", "3", "27 core-s"
    ]  # fmt: skip


def test_error_per_atom_tells_the_hydrogens_apart(reported: RunFolder, page: Page) -> None:
    held = load_frames(reported.frames, (Purpose.HOLDOUT,))
    gap = kcal(load_force_field(reported.force_field).predict(held)[1] - held.forces_A3)
    by_atom = np.abs(gap).reshape(len(held), 6, 3).mean(axis=(0, 2))
    molecule = find_molecule("methanol")
    oxygen = molecule.numbers.index(8)
    distance = np.linalg.norm(molecule.positions_A3 - molecule.positions_A3[oxygen], axis=1)
    hydrogens = np.array(molecule.numbers) == 1
    hydroxyl = hydrogens & (distance < 1.2)
    assert page.row("atoms", "H on O")[1] == "1"
    assert page.row("atoms", "H on O")[3] == f"{by_atom[hydroxyl].mean():#.3g}"
    assert page.row("atoms", "H on O")[3] != page.row("atoms", "H on O")[4]
    assert page.row("atoms", "H on C")[1] == "3"
    assert page.row("atoms", "H on C")[3] == f"{by_atom[hydrogens & ~hydroxyl].mean():#.3g}"


def test_weights_and_stages_are_the_training_outcomes(reported: RunFolder, page: Page) -> None:
    outcome = json.loads((reported.training / "outcome.json").read_text())
    for place, trial in enumerate(outcome["trials"]):
        name = "unweighted" if trial["c"] is None else f"c = {trial['c']:g}"
        name += ", chosen" if place == outcome["chosen"] else ""
        gamma = trial["pretrain"]["phases"][-1]["gamma"]
        assert page.rows["weights"][place + 1] == [
            name,
            ", ".join(trial["tiers"]),
            f"{gamma * KCAL_PER_MOL_PER_EV:#.3g}" if gamma else "–",
            f"{trial['finetune']['validation'] * KCAL_PER_MOL_PER_EV:#.3g}",
        ]
    validation = outcome["baseline"]["validation"] * KCAL_PER_MOL_PER_EV
    assert page.rows["learning"][1][4] == f"{validation:#.3g}"
    assert page.rows["learning"][1][1] == "8"


def test_the_learning_curve_says_what_its_start_has_seen(reported: RunFolder) -> None:
    facts = read_facts(reported)
    outcome, points = facts.outcome, curve_points(facts)
    assert outcome is not None
    assert outcome.curve_start.unweighted
    places = {trial.unweighted: place for place, trial in enumerate(outcome.trials)}
    for chosen, curved, said in (
        (places[True], places[True], "Its pre-training has seen no accurate label."),
        (places[False], places[True], "in the force field that was chosen they don't."),
        (places[False], None, "the curve of the force field is a little too good."),
    ):
        other = outcome.model_copy(update={"chosen": chosen, "curved": curved})
        assert learning_section(replace(facts, outcome=other), points).lead.endswith(said)


def test_methods_cite_what_was_used_in_order(page: Page) -> None:
    said = page.text["methods"]
    numbers = [int(n) for group in re.findall(r"\[([\d,]+)\]", said) for n in group.split(",")]
    first = list(dict.fromkeys(numbers))
    assert first == list(range(1, max(numbers) + 1))
    for author in ("Halgren", "Bannwarth", "Perdew", "Weigend", "Dunning", "Raghavachari"):
        assert author in said
    assert sum(tag == "li" for tag, _ in page.tags) == len(first)


def test_timeline_adds_up(page: Page) -> None:
    said = page.text["timeline"]
    assert "7.33 min at work" in said  # 10 + 4 + 2 + 300 + 124 s; the report can't time itself
    assert "report" not in said
    assert "not finished" not in said
    for step in ("loading workers", "calibration", "evaluation"):
        assert step in said


def test_share_of_labelling_leaves_calibration_and_loading_out(
    reported: RunFolder, page: Page
) -> None:
    plan = Plan.model_validate_json(reported.plan.read_text())
    with Ledger(reported.ledger_url, read_only=True) as ledger:
        spent = sum(r.spent_micro for r in ledger.tally() if r.purpose != Purpose.CALIBRATION)
    share = spent / 1e6 / (300.0 * plan.slots * plan.threads)
    said = " ".join(page.text["timeline"].split())
    assert "From the first label to the last, workers already loaded" in said
    assert f"{100 * share:.0f} % of the time of the cores that label" in said


def test_atoms_that_symmetry_makes_equal_share_a_kind() -> None:
    toluene = find_molecule("toluene")
    kinds = kinds_of(toluene)
    counts = {name: int((kinds.kind_A == k).sum()) for k, name in enumerate(kinds.names)}
    assert sorted(counts.values()) == [1, 1, 1, 1, 2, 2, 2, 2, 3]
    assert hill(toluene.numbers) == (("C", 7), ("H", 8))
    assert hill(find_molecule("ammonia").numbers) == (("H", 3), ("N", 1))


def test_gamma_of_a_tier_is_that_of_the_rung_that_brought_it_in(reported: RunFolder) -> None:
    outcome = TrainingOutcome.model_validate_json((reported.training / "outcome.json").read_text())
    weighted = [place for place, trial in enumerate(outcome.trials) if trial.c == 1.0]
    found = gammas(outcome.model_copy(update={"chosen": weighted[-1]}))
    assert list(found) == [Tier.XTB, Tier.DFT]
    assert found[Tier.XTB] == outcome.trials[weighted[0]].pretrain.phases[-1].gamma
    assert found[Tier.DFT] == outcome.trials[weighted[1]].pretrain.phases[-1].gamma
    assert found[Tier.XTB] != found[Tier.DFT]
