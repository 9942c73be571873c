"""What the user asked for, and whether a run folder is for it.

A folder is claimed for a request before anything is sampled or bought, so that two requests can
never share labels, calibration or geometries by accident.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from forgefield.platform.ledger_place import claim_ledger
from forgefield.platform.planning.budget import Budget, parse_budget
from forgefield.platform.planning.machine import Machine, machines_asked
from forgefield.platform.planning.plan import (
    Document,
    MoleculeDocument,
    Plan,
    TierCost,
    load_plan,
    to_document,
)
from forgefield.platform.planning.planner import make_plan
from forgefield.platform.planning.recipe import Methods, Recipe
from forgefield.platform.run_folder import RunFolder, write_atomically
from forgefield.storage.errors import InputError
from forgefield.storage.records import Molecule, Tier


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """A molecule, a budget and a recipe, for one folder; `elsewhere` is quoted for, not used.

    `ledger` is the URL of a database for a ledger that isn't to lie in the folder; `target` is the
    force error that was asked for, kcal/mol/Å.
    """

    molecule: Molecule
    budget: Budget
    recipe: Recipe
    folder: RunFolder
    elsewhere: tuple[Machine, ...] = ()
    ledger: str | None = None
    target: float | None = None

    def plan(self, costs: Mapping[Tier, TierCost], here: Machine) -> Plan:
        """What the budget buys at these costs, with wall times here and elsewhere."""
        elsewhere = self.elsewhere or machines_asked(1, None)
        machines, folder = (here, *elsewhere), str(self.folder.root)
        return make_plan(
            self.molecule, self.budget, costs, machines, self.recipe, folder, self.target
        )


class FolderIdentity(Document):
    """What the labels of a folder depend on; the rest of a recipe may change between starts."""

    molecule: MoleculeDocument
    methods: Methods


def claim_folder(request: Request) -> None:
    """Mark the folder as this request's; raises `InputError` if it is another's."""
    refuse_foreign_folder(request)
    if not request.folder.request.exists():
        write_atomically(request.folder.request, _claim_of(request).model_dump_json(indent=1))
    claim_ledger(request.folder, request.ledger)


def refuse_foreign_folder(request: Request) -> None:
    """Raise `InputError` if the folder was claimed for another molecule or other methods."""
    path, mine = request.folder.request, _claim_of(request)
    if not path.exists():
        return
    try:
        found = FolderIdentity.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise InputError(f"{path} can't be read. Choose a new --workdir.") from error
    if found != mine:
        what = "molecule" if found.molecule != mine.molecule else "methods"
        raise InputError(
            f"{request.folder.root} holds a run of {found.molecule.name} with another {what}. "
            "Choose a new --workdir, or resume that run with "
            f"`platform run {request.folder.root}`."
        )


def _claim_of(request: Request) -> FolderIdentity:
    return FolderIdentity(molecule=to_document(request.molecule), methods=request.recipe.methods)


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
    recipe = request.recipe
    same = (plan.budget, *_settled(plan.recipe))
    if same != (str(request.budget), *_settled(recipe)):
        raise InputError(
            f"{request.folder.root} executes a plan of {plan.budget}, whose budget, allocation, "
            "sampling and prices are settled. Choose a new --workdir, or resume it with "
            f"`platform run {request.folder.root}`."
        )
    return plan.model_copy(update={"recipe": recipe})


def _settled(recipe: Recipe) -> tuple[object, ...]:
    """What of a recipe may not change once its labels are planned."""
    return recipe.allocation, recipe.sampling, recipe.replay, recipe.posing


def request_of_plan(path: Path, workdir: Path | None) -> Request:
    """What a plan file, or the plan in a run folder, asks for."""
    plan = load_plan(RunFolder.at(path).plan if path.is_dir() else path)
    folder = RunFolder.at(workdir or (path if path.is_dir() else plan.workdir))
    target = plan.target.asked if plan.target else None
    return Request(
        plan.molecule.to_record(),
        parse_budget(plan.budget),
        plan.recipe,
        folder,
        target=target,
    )
