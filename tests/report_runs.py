"""A small real run to report on: labels of a toy force field, a few steps of every stage.

Labels go through ledger and frame store, so every number of a report has an independent source.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from forgefield.labelers.molecules import find_molecule
from forgefield.platform.evaluating import evaluate_run
from forgefield.platform.planning.budget import parse_budget
from forgefield.platform.planning.machine import Machine
from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.planner import make_plan
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.planning.tier_quotes import TierCost
from forgefield.platform.run_folder import RunFolder
from forgefield.platform.training import publish
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
from forgefield.trainers.model_settings import EGNNSettings
from forgefield.trainers.stages.asteroid import (
    AsteroidSettings,
    PhaseSettings,
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
    return plan.model_copy(update={"molecule": named, "priced_for": named.key()})


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
    publish(outcome, load_frames(folder.frames).of_tier(Tier.CCSD), folder)
    folder.evaluation.write_text(evaluate_run(folder).model_dump_json())


def few_steps(steps: int = 60) -> AsteroidSettings:
    fit = FitSettings(steps=steps, rate=5e-3, batch=4, evaluate_every=20, warm_up=1)
    phases = tuple(PhaseSettings(tiers=(tier,), fit=fit) for tier in (Tier.XTB, Tier.DFT))
    fits = {"standard": fit, "pretrain": phases, "finetune": fit}
    return AsteroidSettings(model=TINY, **fits, c_grid=(1.0, None), curve=(0.5,), members=2)


def note(folder: RunFolder, lines: Sequence[tuple[float, str]]) -> None:
    text = "".join(json.dumps({"time": at, "event": event}) + "\n" for at, event in lines)
    folder.timeline.write_text(text)


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
