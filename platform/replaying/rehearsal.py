"""`platform rehearse`: a whole plan with cheap methods posing as the dear ones, and what it taught.

The quote comes first, as for a real run; then the campaign runs as it would, ledger and stop
included, and what the quote said is held against what happened.
"""

from pathlib import Path

from forgefield.platform.campaign import quote, run_campaign
from forgefield.platform.planning.plan import Plan, load_plan
from forgefield.platform.planning.request import Request, request_of_plan
from forgefield.platform.replaying.casting import rehearsal_folder, rehearsal_of
from forgefield.platform.replaying.lessons import Rehearsed, lessons
from forgefield.platform.replaying.parts import Lead, Prices
from forgefield.platform.run_folder import RunFolder, write_atomically
from forgefield.platform.screen.reporter import Reporter
from forgefield.platform.status import status_of
from forgefield.storage.errors import InputError
from forgefield.storage.records import Tier


def record_of(folder: RunFolder) -> Path:
    """Where a rehearsal keeps what it taught."""
    return folder.root / "rehearsal.json"


def request_to_rehearse(
    request: Request, quoted: Plan | None, lead: Lead, prices: Prices, workdir: Path | None
) -> Request:
    """The rehearsal's request; one that has begun goes on at the prices that it began with.

    `quoted` is the plan to rehearse; without one the costs are estimated, and nothing is computed.
    """
    folder = RunFolder.at(workdir) if workdir else rehearsal_folder(request.folder)
    begun = _begun(folder)
    if begun is not None:
        costs = {tier: begun.tier(tier).core_seconds for tier in Tier}
    else:
        plan = quoted or quote(request)
        costs = {tier: plan.tier(tier).core_seconds for tier in Tier}
    made = rehearsal_of(request, lead, costs if prices is Prices.QUOTED else None)
    if begun is not None and begun.recipe.methods != made.recipe.methods:
        raise InputError(f"{folder.root} rehearses with other methods. Choose a new --workdir.")
    return Request(made.molecule, made.budget, made.recipe, folder, made.elsewhere, made.ledger)


def plan_to_rehearse(path: Path) -> tuple[Request, Plan]:
    """The request and the quote in a plan file or a run folder."""
    request = request_of_plan(path, None)
    return request, load_plan(RunFolder.at(path).plan if path.is_dir() else path)


def rehearse(request: Request, ray_address: str | None, reporter: Reporter) -> Rehearsed:
    """Run the campaign of a rehearsal's request and hold the quote against it."""
    folder = request.folder
    result = run_campaign(request, ray_address, reporter)
    plan = load_plan(folder.plan)
    found = lessons(plan, status_of(folder), folder.events(), result)
    write_atomically(record_of(folder), found.model_dump_json(indent=1))
    return found


def _begun(folder: RunFolder) -> Plan | None:
    return load_plan(folder.plan) if folder.plan.exists() else None
