"""`platform plan` and `platform run`: from a molecule and a budget to a force field."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from forgefield.platform.commands.shared import (
    Charge,
    Json,
    Multiplicity,
    RayAddress,
    listening,
    print_json,
    screen,
)
from forgefield.storage.errors import InputError

if TYPE_CHECKING:
    from forgefield.platform.planning.machine import Machine
    from forgefield.platform.planning.request import Request

Molecule = Annotated[
    str | None,
    typer.Option(
        "--molecule",
        "-m",
        help="A name (aspirin, methanol, …), a SMILES, or a structure file (xyz, sdf, pdb, cif …).",
    ),
]
BudgetText = Annotated[
    str | None,
    typer.Option(
        "--budget",
        "-b",
        help="What may be spent: 250ccsd (250 times one CCSD(T) label of this molecule), "
        "2000dft, 40cpuh, 3gpuh or '$120'.",
    ),
]
RecipeFile = Annotated[
    Path | None, typer.Option("--recipe", help="TOML file of settings; see deploy/recipes.")
]
Workdir = Annotated[
    Path | None, typer.Option(help="The run folder. [default: runs/MOLECULE-BUDGET]")
]
LedgerUrl = Annotated[
    str | None,
    typer.Option(
        "--ledger",
        metavar="URL",
        help="Keep the ledger in this database, such as postgresql://user@host/database. "
        "[default: a file in the run folder]",
    ),
]
LabelBook = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="PLACE",
        help="The label book, a path or a database URL: what another run has bought is taken from "
        "it at no cost. [default: labels.sqlite beside the run folder]",
    ),
]
NoLabelBook = Annotated[
    bool, typer.Option("--no-labels", help="Share no labels with other runs: buy them all.")
]
Nodes = Annotated[int, typer.Option(min=1, help="Quote the wall time on this many nodes too.")]
CoresPerNode = Annotated[
    int | None, typer.Option(min=1, help="Cores of each of those nodes. [default: as many as here]")
]


def plan(
    molecule: Molecule = None,
    budget: BudgetText = None,
    charge: Charge = None,
    multiplicity: Multiplicity = None,
    recipe: RecipeFile = None,
    workdir: Workdir = None,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Where to write the plan.", dir_okay=False)
    ] = Path("plan.json"),
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
    from forgefield.platform.buying.book_places import with_book
    from forgefield.platform.campaign import calibrated_plan, quote
    from forgefield.platform.planning.machine import machines_asked
    from forgefield.platform.run_folder import write_atomically
    from forgefield.platform.screen.console import show_plan

    if ledger is not None and not calibrate:
        raise InputError("--no-calibrate books nothing. Give --ledger to `platform run`.")
    machines = machines_asked(nodes, cores_per_node)
    request = _request(molecule, budget, charge, multiplicity, recipe, workdir, machines)
    book = with_book(request.recipe, labels, none=no_labels)
    request = replace(request, ledger=ledger, recipe=book)
    if calibrate:
        made = listening(lambda reporter: calibrated_plan(request, ray_address, reporter))
    else:
        made = quote(request)
    write_atomically(out, made.model_dump_json(indent=1))
    if as_json:
        print_json(made)
        return
    show_plan(screen, made)
    screen.print(f"Written to {out}. Go on with: platform run {out}", markup=False)


def run(
    plan: Annotated[
        Path | None,
        typer.Argument(metavar="[PLAN]", help="A plan file, or the folder of a run to resume."),
    ] = None,
    molecule: Molecule = None,
    budget: BudgetText = None,
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
    from forgefield.platform.buying.book_places import with_book
    from forgefield.platform.campaign import run_campaign
    from forgefield.platform.planning.request import request_of_plan
    from forgefield.platform.screen.console import show_result

    if plan is not None and (molecule, budget, recipe) != (None, None, None):
        raise InputError("Give a plan or --molecule and --budget, not both.")
    if plan is None and molecule is None and workdir is not None:
        plan = workdir
    if plan is None:
        request = _request(molecule, budget, charge, multiplicity, recipe, workdir)
    else:
        request = request_of_plan(plan, workdir)
    book = with_book(request.recipe, labels, none=no_labels)
    request = replace(request, ledger=ledger, recipe=book)
    result = listening(lambda reporter: run_campaign(request, ray_address, reporter))
    print_json(result) if as_json else show_result(screen, result)


def _request(
    molecule: str | None,
    budget: str | None,
    charge: int | None,
    multiplicity: int | None,
    recipe: Path | None,
    workdir: Path | None,
    machines: "tuple[Machine, ...]" = (),
) -> "Request":
    from forgefield.labelers.molecules import find_molecule
    from forgefield.platform.planning.budget import parse_budget
    from forgefield.platform.planning.recipe import load_recipe
    from forgefield.platform.planning.request import Request
    from forgefield.platform.run_folder import RunFolder, default_folder

    if molecule is None or budget is None:
        raise InputError("Say both --molecule and --budget, such as -m ethanol -b 20ccsd.")
    parsed, settings = parse_budget(budget), load_recipe(recipe)
    found = find_molecule(molecule, charge=charge, multiplicity=multiplicity)
    folder = RunFolder.at(workdir or default_folder(found.name, str(parsed)))
    return Request(found, parsed, settings, folder, machines)
