"""`platform rehearse`: a whole plan with cheap methods posing as the dear ones, and what it taught.

The quote comes first, as for a real run; then the campaign runs as it would, ledger and stop
included, and what the quote said is held against what happened.
"""

from dataclasses import replace
from pathlib import Path

from forgefield.platform.campaign import quote, refuse_before_spending, run_campaign
from forgefield.platform.planning.allocation import TARGET
from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.plan_files import load_plan
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.planning.request import (
    Request,
    known_plan,
    request_of_plan,
    with_settled_budget,
)
from forgefield.platform.replaying.casting import rehearsal_folder, rehearsal_of
from forgefield.platform.replaying.lessons import Rehearsed, lessons
from forgefield.platform.replaying.parts import Lead, Length, Prices
from forgefield.platform.rounds.documents import ended_rounds
from forgefield.platform.run_folder import RunFolder, write_atomically
from forgefield.platform.screen.reporter import Reporter
from forgefield.platform.status import status_of
from forgefield.storage.errors import InputError
from forgefield.storage.records import Tier


def record_of(folder: RunFolder) -> Path:
    """Where a rehearsal keeps what it taught."""
    return folder.root / "rehearsal.json"


def recipe_of(folder: RunFolder) -> Path:
    """Where a rehearsal keeps the recipe that it began with, prices included."""
    return folder.root / "rehearsal_recipe.json"


def request_to_rehearse(
    request: Request,
    quoted: Plan | None,
    lead: Lead,
    prices: Prices,
    workdir: Path | None,
    length: Length = Length.SHORT,
) -> Request:
    """The rehearsal's request; one that has begun goes on at the prices that it began with.

    `quoted` is the plan to rehearse; without one the costs are estimated, and nothing is computed.
    """
    folder = RunFolder.at(workdir) if workdir else rehearsal_folder(request.folder)
    begun = _begun(folder)
    made = rehearsal_of(request, lead, None)
    if begun is None and prices is Prices.QUOTED:
        plan = quoted or quote(request)
        made = rehearsal_of(request, lead, {t: plan.tier(t).core_seconds for t in Tier})
    if begun is not None:
        _refuse_other_rehearsal(folder, begun, made.recipe, prices)
        again = made.recipe.model_copy(update={"posing": begun.posing})
        made = replace(made, recipe=again)
    if length is Length.QUOTED:
        known = begun.training.effort if begun is not None else None
        effort = known or real_effort(request, quoted)
        made = replace(made, recipe=_trained_for(made.recipe, effort))
    return with_settled_budget(replace(made, folder=folder, given=None))


def real_effort(request: Request, quoted: Plan | None) -> float:
    """How long the run that is rehearsed trains, in multiples of the recipe's steps."""
    return (quoted or quote(request)).training_effort


def _trained_for(recipe: Recipe, effort: float) -> Recipe:
    training = recipe.training.model_copy(update={"effort": effort})
    return recipe.model_copy(update={"training": training})


def plan_to_rehearse(path: Path) -> tuple[Request, Plan]:
    """The request and the quote in a plan file or a run folder."""
    request = request_of_plan(path, None)
    return request, load_plan(RunFolder.at(path).plan if path.is_dir() else path)


def rehearse(
    request: Request, ray_address: str | None, reporter: Reporter, real: float
) -> Rehearsed:
    """Run the campaign of a rehearsal's request and hold the quote against it.

    `real` is how long the real run trains, in multiples of the recipe's steps.
    """
    folder = request.folder
    if known_plan(request) is None:
        refuse_before_spending(request, ray_address)
    keep_recipe(folder, request.recipe)
    result = run_campaign(request, ray_address, reporter)
    plan = load_plan(folder.plan)
    trained_s = sum(record.trained_s for record in ended_rounds(folder))
    found = lessons(plan, status_of(folder), folder.events(), result, trained_s, real)
    write_atomically(record_of(folder), found.model_dump_json(indent=1))
    return found


def keep_recipe(folder: RunFolder, recipe: Recipe) -> None:
    """Write down what labels are charged before any is bought, unless it is known already.

    Costs that are quoted later are others, and what was paid at one price can't go on at another.
    """
    if _begun(folder) is None:
        folder.create()
        write_atomically(recipe_of(folder), recipe.model_dump_json(indent=1))


def _begun(folder: RunFolder) -> Recipe | None:
    """The recipe that a rehearsal began with."""
    path = recipe_of(folder)
    if path.exists():
        try:
            return Recipe.model_validate_json(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{path} is no recipe. Choose a new --workdir.") from error
    return load_plan(folder.plan).recipe if folder.plan.exists() else None


def _refuse_other_rehearsal(
    folder: RunFolder, begun: Recipe, asked: Recipe, prices: Prices
) -> None:
    if begun.methods != asked.methods:
        raise InputError(f"{folder.root} rehearses with other methods. Choose a new --workdir.")
    began = Prices.QUOTED if begun.is_priced(TARGET) else Prices.OWN
    if began is not prices:
        raise InputError(
            f"{folder.root} rehearses with --prices {began}. Say so, or choose a new --workdir."
        )
