"""`platform plan` and `platform run`: from a molecule and a budget to a force field."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from forgefield.platform.commands.campaign_options import (
    Asked,
    BudgetText,
    CoresPerNode,
    LabelBook,
    LedgerUrl,
    Molecule,
    Nodes,
    NoLabelBook,
    RecipeFile,
    TargetText,
    Workdir,
    request_for,
)
from forgefield.platform.commands.shared import (
    Charge,
    Json,
    Multiplicity,
    RayAddress,
    listening,
    print_json,
    refuse_unwritable,
    screen,
)
from forgefield.storage.errors import InputError

if TYPE_CHECKING:
    from forgefield.platform.planning.plan import Plan


def plan(
    molecule: Molecule = None,
    budget: BudgetText = None,
    target: TargetText = None,
    charge: Charge = None,
    multiplicity: Multiplicity = None,
    recipe: RecipeFile = None,
    workdir: Workdir = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Where to write the plan.", dir_okay=False)
    ] = Path("plan.json"),
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw the expected error against the budget, as .png, .svg or .pdf."),
    ] = None,
    calibrate: Annotated[
        bool,
        typer.Option(
            help="Measure the cost of a few labels at every tier first; they are paid from the "
            "budget and kept. Without, costs are estimated and nothing is computed."
        ),
    ] = True,
    nodes: Nodes = 1,
    cores_per_node: CoresPerNode = None,
    ledger: LedgerUrl = None,
    labels: LabelBook = None,
    no_labels: NoLabelBook = False,
    ray_address: RayAddress = None,
    as_json: Json = False,
) -> None:
    """Quote what a budget buys, and write the plan that **run** executes."""
    from forgefield.platform.book_places import with_book
    from forgefield.platform.campaign import calibrated_plan, quote
    from forgefield.platform.planning.machine import machines_asked
    from forgefield.platform.run_folder import write_atomically
    from forgefield.platform.showing.plan_plot import draw_plan, refuse_plot_name
    from forgefield.platform.showing.plan_screen import next_step, show_plan

    if ledger is not None and not calibrate:
        raise InputError("--no-calibrate books nothing. Give --ledger to `platform run`.")
    if plot is not None:
        refuse_plot_name(plot)
    asked = Asked(molecule, budget, target, charge, multiplicity, recipe, workdir)
    request = replace(request_for(asked), elsewhere=machines_asked(nodes, cores_per_node))
    written = [out] if plot is None else [out, plot]
    for path in written:
        refuse_unwritable(path, made=request.folder.root)
    before = plan_there(out)
    book = with_book(request.recipe, labels, none=no_labels)
    request = replace(request, ledger=ledger, recipe=book)
    if calibrate:
        made = listening(lambda reporter: calibrated_plan(request, ray_address, reporter))
    else:
        made = quote(request)
    for path in written:
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, made.model_dump_json(indent=1))
    if plot is not None:
        draw_plan(made, plot)
    if as_json:
        print_json(made)
        return
    show_plan(screen, made)
    if before and before != said_shortly(made):
        screen.print(f"It replaces the plan of {before} in {out}.", markup=False)
    written_to = " and ".join(map(str, written))
    screen.print(f"Written to {written_to}. {next_step(made, out)}", markup=False)


def plan_there(path: Path) -> str:
    """The plan that this file holds in words; raises `InputError` for a file that is no plan."""
    from forgefield.platform.planning.plan_files import load_plan

    if not path.exists():
        return ""
    try:
        return said_shortly(load_plan(path))
    except InputError as error:
        raise InputError(
            f"{path} is there and isn't a plan that can be read ({str(error)[:200]}); nothing was "
            "written. Move it away, or choose another --out."
        ) from error


def said_shortly(plan: "Plan") -> str:
    """`ethanol for 20ccsd`."""
    return f"{plan.molecule.name} for {plan.budget}"


def run(
    plan: Annotated[
        Path | None,
        typer.Argument(metavar="[PLAN]", help="A plan file, or the folder of a run to resume."),
    ] = None,
    molecule: Molecule = None,
    budget: BudgetText = None,
    target: TargetText = None,
    charge: Charge = None,
    multiplicity: Multiplicity = None,
    recipe: RecipeFile = None,
    workdir: Workdir = None,
    ledger: LedgerUrl = None,
    labels: LabelBook = None,
    no_labels: NoLabelBook = False,
    ray_address: RayAddress = None,
    as_json: Json = False,
) -> None:
    """Run a campaign: from a plan, from the flags of **plan**, or resume a run folder.

    Ends with a force field, its error on the hold-out and a report. Ctrl-C finishes the labels in
    flight and stops; the same command goes on from there.
    """
    from forgefield.platform.book_places import with_book
    from forgefield.platform.campaign import run_campaign
    from forgefield.platform.planning.request import request_of_plan
    from forgefield.platform.showing.console import show_result

    asked = Asked(molecule, budget, target, charge, multiplicity, recipe, workdir)
    if molecule is None:
        plan = plan or workdir
    asked.refuse_beside(plan)
    request = request_for(asked) if plan is None else request_of_plan(plan, workdir)
    book = with_book(request.recipe, labels, none=no_labels)
    request = replace(request, ledger=ledger, recipe=book)
    result = listening(lambda reporter: run_campaign(request, ray_address, reporter))
    print_json(result) if as_json else show_result(screen, result)
