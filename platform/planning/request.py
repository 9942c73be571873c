"""What the user asked for, and whether a run folder is for it.

A folder is claimed for a request before anything is sampled or bought, so that two requests can
never share labels, calibration or geometries by accident.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from forgefield.platform.ledger_place import claim_ledger
from forgefield.platform.planning.budget import Budget, parse_budget
from forgefield.platform.planning.imported import imported_labels
from forgefield.platform.planning.machine import Machine, machines_asked
from forgefield.platform.planning.molecule_document import MoleculeDocument, to_document
from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.plan_files import load_plan
from forgefield.platform.planning.planner import make_plan
from forgefield.platform.planning.recipe import Methods, Recipe
from forgefield.platform.planning.resuming import with_recipe
from forgefield.platform.planning.tier_quotes import TierCost
from forgefield.platform.planning.training_time import frame_time
from forgefield.platform.run_folder import RunFolder, write_atomically
from forgefield.storage.documents import Document
from forgefield.storage.errors import InputError
from forgefield.storage.records import Molecule, Tier

SETTLED = ("allocation", "sampling", "replay", "posing", "prices")
"""Sections of a recipe that may not change once its labels are planned."""


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """A molecule, a budget and a recipe, for one folder; `elsewhere` is quoted for, not used.

    `ledger` is the URL of a database for a ledger that isn't to lie in the folder; `target` is the
    force error that was asked for, kcal/mol/Å; `by_target`: the budget only follows from it.
    `given` is the plan file that all this is from.
    """

    molecule: Molecule
    budget: Budget
    recipe: Recipe
    folder: RunFolder
    elsewhere: tuple[Machine, ...] = ()
    ledger: str | None = None
    target: float | None = None
    by_target: bool = False
    given: Plan | None = None

    def plan(self, costs: Mapping[Tier, TierCost], here: Machine) -> Plan:
        """What the budget buys beside the folder's imports, with wall times here and elsewhere.

        Frames of another method than their tier's are no imports of it; a warning names them.
        """
        elsewhere = self.elsewhere or machines_asked(1, None)
        there = imported_labels(self.folder, self.recipe.methods)
        return make_plan(
            self.molecule,
            self.budget,
            costs,
            (here, *elsewhere),
            self.recipe,
            str(self.folder.root),
            self.target,
            frame_time(self.molecule, self.recipe.training),
            there.labels,
            there.left_out,
        )


class FolderIdentity(Document):
    """What the labels of a folder depend on; the rest of a recipe may change between starts.

    `budget` is that of the first start, which a target error alone doesn't say again.
    """

    molecule: MoleculeDocument
    methods: Methods
    budget: str | None = None


def claim_folder(request: Request) -> None:
    """Mark the folder as this request's; raises `InputError` if it is another's."""
    refuse_foreign_folder(request)
    if not request.folder.request.exists():
        write_atomically(request.folder.request, _claim_of(request).model_dump_json(indent=1))
    claim_ledger(request.folder, request.ledger)


def refuse_foreign_folder(request: Request) -> None:
    """Raise `InputError` if the folder was claimed for another molecule or other methods."""
    found, mine = claim_in(request.folder), _claim_of(request)
    if found is not None and (found.molecule, found.methods) != (mine.molecule, mine.methods):
        what = " with other methods"
        if found.molecule != mine.molecule:
            what = f", not of {request.molecule.name}"
        raise InputError(
            f"{request.folder.root} holds a run of {found.molecule.name}{what}. "
            "Choose a new --workdir, or resume that run with "
            f"`platform run {request.folder.root}`."
        )


def _claim_of(request: Request) -> FolderIdentity:
    return FolderIdentity(
        molecule=to_document(request.molecule),
        methods=request.recipe.methods,
        budget=str(request.budget),
    )


def claim_in(folder: RunFolder) -> FolderIdentity | None:
    """What a folder was claimed for; raises `InputError` for a damaged claim."""
    try:
        return FolderIdentity.model_validate_json(folder.request.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{folder.request} can't be read. Choose a new --workdir.") from error


def with_settled_budget(request: Request) -> Request:
    """The request at the budget that its folder was begun with, where only a target was named.

    Costs that are better known by now would make another budget of the same target.
    """
    if not request.by_target:
        return request
    claim = claim_in(request.folder)
    begun = None if claim is None else claim.budget
    if request.folder.plan.exists():
        begun = load_plan(request.folder.plan).budget
    return request if begun is None else replace(request, budget=parse_budget(begun))


def known_plan(request: Request) -> Plan | None:
    """The calibrated plan that the folder holds for this request, with today's settings.

    How labels run and how training goes may change between starts; what was planned may not.
    """
    refuse_foreign_folder(request)
    if not request.folder.plan.exists():
        return None
    plan = load_plan(request.folder.plan)
    if not plan.calibrated:
        return None
    _refuse_other_plan(plan, request)
    return with_recipe(plan, request.recipe)


def _refuse_other_plan(plan: Plan, request: Request) -> None:
    """Raise `InputError` naming what is asked for otherwise than the folder's plan has it.

    Labels of a plan that isn't calibrated are what its estimates would buy, so they may differ.
    """
    target = _target_words(plan.asked_target), _target_words(request.target)
    pairs = [("budget", plan.budget, str(request.budget)), ("target error", *target)]
    for name in SETTLED:
        same = getattr(plan.recipe, name) == getattr(request.recipe, name)
        pairs.append((f"{name} in its recipe", "", "" if same else "other"))
    if request.given is not None and request.given.calibrated:
        for tier in Tier:
            labels = _labels_words(plan, tier), _labels_words(request.given, tier)
            pairs.append((f"{tier} labels", *labels))
    for what, settled, asked in pairs:
        if settled != asked:
            says = f": {settled} there, {asked} asked for" if settled else " is another"
            raise InputError(
                f"{request.folder.root} executes a plan of {plan.budget} that is settled; the "
                f"{what}{says}. Choose a new --workdir, or resume it as it is with "
                f"`platform run {request.folder.root}`."
            )


def _target_words(target: float | None) -> str:
    return "none" if target is None else f"{target!r} kcal/mol/Å"


def _labels_words(plan: Plan, tier: Tier) -> str:
    labels = plan.tier(tier).labels
    return ", ".join(f"{labels[name]} {name}" for name in sorted(labels) if labels[name]) or "none"


def request_of_plan(path: Path, workdir: Path | None) -> Request:
    """What a plan file, or the plan in a run folder, asks for."""
    plan = load_plan(RunFolder.at(path).plan if path.is_dir() else path)
    folder = RunFolder.at(workdir or (path if path.is_dir() else plan.workdir))
    return Request(
        plan.molecule.to_record(),
        parse_budget(plan.budget),
        plan.recipe,
        folder,
        target=plan.asked_target,
        given=plan,
    )
