"""The report says what the run's files hold, whatever state the run is in.

The run is a small real one: labels of a toy force field go through ledger and frame store, and
the stages are trained for a few steps, so that every number has an independent source.
"""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from forgefield.labelers.depiction import formula, kinds_of
from forgefield.labelers.molecules import find_molecule
from forgefield.platform.evaluating import Evaluation, evaluate_run, verdict
from forgefield.platform.planning.budget import parse_budget
from forgefield.platform.planning.machine import Machine
from forgefield.platform.planning.plan import Plan, TierCost
from forgefield.platform.planning.planner import make_plan
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.reporting.facts import read_facts, spans_of
from forgefield.platform.reporting.predictions import curve_points, gammas
from forgefield.platform.reporting.report import write_report
from forgefield.platform.reporting.training import learning_section
from forgefield.platform.run_folder import RunFolder
from forgefield.platform.screen.wording import three_digits
from forgefield.storage.errors import InputError
from forgefield.storage.frame_store import FrameStore, load_frames
from forgefield.storage.ledger import Ledger
from forgefield.storage.ledger.packing import pack
from forgefield.storage.records import (
    Array,
    Configuration,
    Failure,
    Job,
    Label,
    Method,
    Molecule,
    Outcome,
    Provenance,
    Purpose,
    Tier,
)
from forgefield.storage.units import KCAL_PER_MOL_PER_EV, to_micro
from forgefield.trainers.fitting.fit import FitSettings
from forgefield.trainers.force_field import ForceField
from forgefield.trainers.model_settings import EGNNSettings
from forgefield.trainers.stages.asteroid import (
    AsteroidSettings,
    PhaseSettings,
    TrainingOutcome,
    plain_runner,
    train,
)

COSTS = {
    Tier.EMPIRICAL: TierCost(2e-4, 1e-4, 4e-4, 10**8, 20),
    Tier.XTB: TierCost(4e-3, 2e-3, 8e-3, 10**8, 20),
    Tier.DFT: TierCost(6.0, 4.0, 9.0, 10**9, 2),
    Tier.CCSD: TierCost(48.0, 40.0, 60.0, 2 * 10**9, 2),
}
PROGRAMS = {
    Tier.EMPIRICAL: ("OpenMM", "8.5.1"),
    Tier.XTB: ("tblite", "0.8.0"),
    Tier.DFT: ("PySCF", "2.14.0"),
    Tier.CCSD: ("PySCF", "2.14.0"),
}
STIFFNESS = {Tier.EMPIRICAL: 8.0, Tier.XTB: 11.0, Tier.DFT: 12.5, Tier.CCSD: 12.0}
BOUGHT = {
    (Tier.EMPIRICAL, Purpose.TRAIN): 30,
    (Tier.XTB, Purpose.TRAIN): 30,
    (Tier.DFT, Purpose.TRAIN): 12,
    (Tier.CCSD, Purpose.CALIBRATION): 2,
    (Tier.CCSD, Purpose.TRAIN): 6,
    (Tier.CCSD, Purpose.VALIDATION): 3,
    (Tier.CCSD, Purpose.HOLDOUT): 4,
}
TINY = EGNNSettings(layers=1, channels=16, radial=8)


def toy_forces(positions_A3: Array, rest_A3: Array, stiffness: float) -> Array:
    """Springs between all pairs of atoms that are close at rest."""
    gap_AA3 = positions_A3[:, None] - positions_A3[None]
    length_AA = np.linalg.norm(gap_AA3, axis=2) + np.eye(len(positions_A3))
    rest_AA = np.linalg.norm(rest_A3[:, None] - rest_A3[None], axis=2)
    pull_AA = np.where((rest_AA > 0) & (rest_AA < 2.3), stiffness, 0.0) * (length_AA - rest_AA)
    return -(pull_AA[..., None] * gap_AA3 / length_AA[..., None]).sum(axis=1)


def toy_label(job: Job, molecule: Molecule) -> Outcome:
    tier = job.method.tier
    forces = toy_forces(job.configuration.positions_A3, molecule.positions_A3, STIFFNESS[tier])
    program, version = PROGRAMS[tier]
    origin = Provenance(program, version, "node1", 1, 1.0, 1.0)
    return Outcome(job, Label(-3000.0 + float(np.abs(forces).sum()), forces, origin))


def toy_jobs(plan: Plan, tier: Tier, purpose: Purpose, number: int) -> list[Job]:
    molecule = plan.molecule.to_record()
    random = np.random.default_rng([int(purpose), list(Tier).index(tier)])
    shapes = molecule.positions_A3 + random.normal(0, 0.06, (number, *molecule.positions_A3.shape))
    method = Method(tier, plan.tier(tier).method)
    return [
        Job(Configuration(molecule.name, molecule.numbers, shape), method, purpose)
        for shape in shapes
    ]


def toy_plan(folder: RunFolder, name: str = "", molecule: str = "methanol") -> Plan:
    found = find_molecule(molecule)
    machine = Machine(nodes=1, cores=2, memory_bytes=16 * 10**9)
    plan = make_plan(found, parse_budget("20ccsd"), COSTS, [machine], Recipe(), str(folder.root))
    named = plan.molecule.model_copy(update={"name": name or found.name})
    return plan.model_copy(update={"molecule": named})


def buy(
    folder: RunFolder, plan: Plan, bought: Mapping[tuple[Tier, Purpose], int], failures: int
) -> None:
    """Labels and failures through the ledger into the frame store."""
    random = np.random.default_rng(7)
    with (
        Ledger(folder.ledger_url) as ledger,
        FrameStore.open_for_writing(folder.frames) as store,
    ):
        ledger.set_cap(plan.cap_micro, "test")
        molecule = plan.molecule.to_record()
        for (tier, purpose), number in bought.items():
            jobs, cost = toy_jobs(plan, tier, purpose, number), COSTS[tier].core_seconds
            held = ledger.reserve(jobs, to_micro(1.5 * cost * number))
            used = to_micro(cost * number * float(random.uniform(0.8, 1.2)))
            ledger.settle(held, [toy_label(job, molecule) for job in jobs], used)
        for job in toy_jobs(plan, Tier.DFT, Purpose.VALIDATION, failures):
            held = ledger.reserve([job], to_micro(20.0))
            ledger.fail(held, Failure("NotConverged", "SCF <did not> converge"), to_micro(9.0))
        pack(ledger, store)


def teach(folder: RunFolder, settings: AsteroidSettings) -> None:
    outcome = train(
        folder.frames, folder.training, settings, plain_runner(), cheap_tiers=(Tier.XTB, Tier.DFT)
    )
    (folder.training / "outcome.json").write_text(outcome.model_dump_json())
    shutil.copytree(outcome.force_field, folder.force_field)
    shutil.copytree(outcome.baseline.output, folder.baseline)
    folder.evaluation.write_text(evaluate_run(folder).model_dump_json())


def few_steps(steps: int = 60) -> AsteroidSettings:
    fit = FitSettings(steps=steps, rate=5e-3, batch=4, evaluate_every=20, warm_up=1)
    phases = tuple(PhaseSettings(tiers=(tier,), fit=fit) for tier in (Tier.XTB, Tier.DFT))
    return AsteroidSettings(
        model=TINY, standard=fit, pretrain=phases, finetune=fit, c_grid=(1.0, None), curve=(0.5,)
    )


def note(folder: RunFolder, lines: Sequence[tuple[float, str]]) -> None:
    text = "".join(json.dumps({"time": at, "event": event}) + "\n" for at, event in lines)
    folder.timeline.write_text(text)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that went through all its steps; tests that change it take a copy."""
    folder = RunFolder.at(tmp_path_factory.mktemp("finished") / "methanol-20ccsd")
    folder.create()
    plan = toy_plan(folder)
    folder.plan.write_text(plan.model_dump_json())
    buy(folder, plan, BOUGHT, failures=3)
    teach(folder, few_steps())
    note(folder, TIMELINE)
    return folder


@pytest.fixture(scope="module")
def page(finished: RunFolder) -> "Page":
    return read(write_report(finished, finished.report))


TIMELINE = (
    (1000.0, "ray is up"),
    (1001.0, "sampling began"),
    (1011.0, "sampling ended"),
    (1012.0, "loading workers began"),
    (1014.0, "loading workers ended"),
    (1014.0, "calibration began"),
    (1016.0, "calibration ended"),
    (1017.0, "loading workers began"),
    (1019.0, "loading workers ended"),
    (1020.0, "labelling began"),
    (1320.0, "labelling ended"),
    (1330.0, "training began"),
    (1450.0, "training ended"),
    (1450.0, "evaluation began"),
    (1454.0, "evaluation ended"),
    (1500.0, "report began"),
)
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """Text by section, table rows, and every attribute that could load something."""

    def __init__(self) -> None:
        super().__init__()
        self.text: dict[str, str] = {}
        self.rows: dict[str, list[list[str]]] = {}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.section = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Opens an element, a section or a cell."""
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag not in VOID:
            self.open.append(tag)
        if tag in {"section", "header", "main"}:
            self.section = found.get("id") or tag
        if tag == "tr":
            self.rows.setdefault(self.section, []).append([])
        if tag in {"td", "th"}:
            self.rows[self.section][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element without content."""
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Elements close in order."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text belongs to the section it is in."""
        self.text[self.section] = self.text.get(self.section, "") + data
        if {"td", "th"} & set(self.open):
            self.rows[self.section][-1][-1] += data

    def row(self, section: str, first: str) -> list[str]:
        """Cells of the row that begins with `first`."""
        return next(row for row in self.rows[section] if row[0] == first)


def read(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    assert not page.open
    return page


def copy_of(folder: RunFolder, into: Path) -> RunFolder:
    shutil.copytree(folder.root, into / folder.root.name)
    return RunFolder.at(into / folder.root.name)


def kcal(forces: Array) -> Array:
    return forces * KCAL_PER_MOL_PER_EV


def test_headline_gives_the_errors_of_the_hold_out(finished: RunFolder, page: Page) -> None:
    held = load_frames(finished.frames, (Purpose.HOLDOUT,))
    said = page.text["main"]
    figures = []
    for folder in (finished.force_field, finished.baseline):
        predicted = ForceField.load(folder).predict(held)[1]
        mae = float(np.abs(kcal(predicted - held.forces_A3)).mean())
        figures.append(f"{mae:#.3g}")
    assert len(set(figures)) == 2
    assert said.index(figures[0]) < said.index(figures[1])
    parity = page.text["parity"]
    assert parity.index(f"MAE {figures[0]}") < parity.index(f"MAE {figures[1]}")
    found = json.loads(finished.evaluation.read_text())
    assert (
        f"95 %: {found['force_field']['low']:#.3g} to {found['force_field']['high']:#.3g}" in said
    )
    assert verdict(Evaluation.model_validate(found)) in said.replace("\u00a0", " ")
    assert "With only 4 test frames the interval is rough." in said
    assert "Student" in page.text["methods"]


def test_spend_and_cap_are_the_ledgers(finished: RunFolder, page: Page) -> None:
    with Ledger(finished.ledger_url, read_only=True) as ledger:
        balance = ledger.balance()
    label = COSTS[Tier.CCSD].core_seconds
    assert f"{three_digits(balance.spent_micro / 1e6 / label)} ccsd" in page.text["main"]
    assert f"of {three_digits(balance.cap_micro / 1e6 / label)} ccsd" in page.text["main"]
    assert f"{three_digits(balance.spent_micro / 1e6 / 3600)} core-h" in page.text["spend"]


def test_labels_table_counts_and_costs(finished: RunFolder, page: Page) -> None:
    cost = load_frames(finished.frames, tuple(Purpose)).of_tier(Tier.CCSD).cost_F
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


def test_error_per_atom_tells_the_hydrogens_apart(finished: RunFolder, page: Page) -> None:
    held = load_frames(finished.frames, (Purpose.HOLDOUT,))
    gap = kcal(ForceField.load(finished.force_field).predict(held)[1] - held.forces_A3)
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


def test_weights_and_stages_are_the_training_outcomes(finished: RunFolder, page: Page) -> None:
    outcome = json.loads((finished.training / "outcome.json").read_text())
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


def test_the_learning_curve_says_what_its_start_has_seen(finished: RunFolder) -> None:
    facts = read_facts(finished)
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
    finished: RunFolder, page: Page
) -> None:
    plan = Plan.model_validate_json(finished.plan.read_text())
    with Ledger(finished.ledger_url, read_only=True) as ledger:
        spent = sum(r.spent_micro for r in ledger.tally() if r.purpose != Purpose.CALIBRATION)
    share = spent / 1e6 / (300.0 * plan.slots * plan.threads)
    said = " ".join(page.text["timeline"].split())
    assert "From the first label to the last, workers already loaded" in said
    assert f"{100 * share:.0f} % of the time of the cores that label" in said


def test_nothing_is_loaded_from_anywhere(page: Page) -> None:
    loading = ("src", "srcset", "data", "poster", "xlink:href", "href", "action", "background")
    for tag, attributes in page.tags:
        assert tag not in {"script", "link", "img", "iframe", "object", "embed", "base", "image"}
        for name in loading:
            where = attributes.get(name)
            assert where is None or where.startswith("#") or tag == "a", (tag, name, where)
    assert not re.search(r"url\((?!#)|@import|@font-face", " ".join(page.text.values()))


def test_figures_have_words_and_ids_of_their_own(page: Page) -> None:
    drawings = [attributes for tag, attributes in page.tags if tag == "svg"]
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(drawings) >= 8
    assert len(ids) == len(set(ids))
    assert all(drawing["aria-labelledby"] in ids for drawing in drawings)
    used = {
        str(attributes.get(name))[1:]
        for _, attributes in page.tags
        for name in ("href", "xlink:href")
        if str(attributes.get(name)).startswith("#")
    }
    assert used <= set(ids)


def test_the_same_run_gives_the_same_bytes(finished: RunFolder, tmp_path: Path) -> None:
    first = write_report(finished, tmp_path / "first.html").read_bytes()
    assert write_report(finished, tmp_path / "second.html").read_bytes() == first


def test_a_moved_run_finds_its_force_fields(finished: RunFolder, tmp_path: Path) -> None:
    moved = copy_of(finished, tmp_path)
    outcome = (moved.training / "outcome.json").read_text()
    gone = outcome.replace(str(finished.training), "/elsewhere/training")
    assert gone != outcome
    (moved.training / "outcome.json").write_text(gone)
    said = read(write_report(moved, moved.report)).text
    assert "accurate labels trained on" in said["learning"]
    assert "bias B of a cheap label" in said["weights"]


def test_hostile_names_and_messages_stay_text(finished: RunFolder, tmp_path: Path) -> None:
    folder = copy_of(finished, tmp_path)
    name = "<script>alert('x')</script>\"&{{ 7*7 }}$x$"
    folder.plan.write_text(toy_plan(folder, name).model_dump_json())
    page = read(write_report(folder, folder.report))
    assert name in page.text["header"]
    assert not [tag for tag, _ in page.tags if tag == "script"]
    assert not [tag for tag, _ in page.tags if tag == "did"]


@pytest.mark.parametrize("step", ["begun", "planned", "labelled", "trained"])
def test_an_unfinished_run_says_what_is_missing(
    tmp_path: Path, finished: RunFolder, step: str
) -> None:
    folder = RunFolder.at(tmp_path / "run")
    folder.create()
    plan = toy_plan(folder)
    if step == "begun":
        Ledger(folder.ledger_url).close()
    if step == "planned":
        folder.plan.write_text(plan.model_dump_json())
        buy(folder, plan, {}, failures=0)
    if step in {"labelled", "trained"}:
        folder = copy_of(finished, tmp_path)
        folder.evaluation.unlink()
        shutil.rmtree(folder.force_field)
    if step == "labelled":
        shutil.rmtree(folder.training)
        note(folder, TIMELINE[:-6])
    page = read(write_report(folder, folder.report))
    assert "not evaluated yet" in page.text["main"]
    assert "no trained force field yet" in page.text["parity"]
    assert "no force field to use yet" in page.text["use"]
    assert ("None: every label" in page.text["failures"]) == (step in {"begun", "planned"})
    assert ("not finished" in page.text["timeline"]) == (step == "labelled")


def test_a_page_that_cannot_be_written_leaves_the_old_one(
    finished: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "report.html"
    out.write_text("old")

    def torn(_: Path, __: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", torn)
    with pytest.raises(InputError, match="No space left"):
        write_report(finished, out)
    assert out.read_text() == "old"


def test_foreign_files_are_named(finished: RunFolder, tmp_path: Path) -> None:
    folder = copy_of(finished, tmp_path)
    folder.evaluation.write_text("{}")
    with pytest.raises(InputError, match=r"evaluation\.json"):
        write_report(folder, folder.report)


def test_spans_of_a_run_that_died_and_went_on() -> None:
    events = [
        {"time": 0.0, "event": "ray is up"},
        {"time": 1.0, "event": "labelling began"},
        {"time": 50.0, "event": "ray is up"},
        {"time": 51.0, "event": "labelling began"},
        {"time": 61.0, "event": "labelling ended"},
        {"time": 62.0, "event": "training began"},
    ]
    spans = spans_of(events, bought_at=[5.0, 40.0, 60.0, 70.0])
    assert [(span.name, span.finished) for span in spans] == [
        ("labelling", False), ("labelling", True), ("training", False)
    ]  # fmt: skip
    assert (spans[0].start, spans[0].end) == (1.0, 40.0)
    assert spans[2].end == 70.0
    assert spans[1].seconds == 10.0


def test_atoms_that_symmetry_makes_equal_share_a_kind() -> None:
    toluene = find_molecule("toluene")
    kinds = kinds_of(toluene)
    counts = {name: int((kinds.kind_A == k).sum()) for k, name in enumerate(kinds.names)}
    assert sorted(counts.values()) == [1, 1, 1, 1, 2, 2, 2, 2, 3]
    assert formula(toluene.numbers) == (("C", "7"), ("H", "8"))
    assert formula(find_molecule("ammonia").numbers) == (("H", "3"), ("N", ""))


def test_gamma_of_a_tier_is_that_of_the_rung_that_brought_it_in(finished: RunFolder) -> None:
    outcome = TrainingOutcome.model_validate_json((finished.training / "outcome.json").read_text())
    weighted = [place for place, trial in enumerate(outcome.trials) if trial.c == 1.0]
    found = gammas(outcome.model_copy(update={"chosen": weighted[-1]}))
    assert list(found) == [Tier.XTB, Tier.DFT]
    assert found[Tier.XTB] == outcome.trials[weighted[0]].pretrain.phases[-1].gamma
    assert found[Tier.DFT] == outcome.trials[weighted[1]].pretrain.phases[-1].gamma
    assert found[Tier.XTB] != found[Tier.DFT]
