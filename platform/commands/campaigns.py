"""`platform plan` and `platform run`: from a molecule and a budget to a force field."""

from dataclasses import dataclass, replace
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
    refuse_unwritable,
    screen,
)
from forgefield.storage.errors import InputError

if TYPE_CHECKING:
    from forgefield.platform.planning.plan import Plan
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
    Path | None,
    typer.Option(help="The run folder. [default: runs/MOLECULE-BUDGET, else runs/MOLECULE-TARGET]"),
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
TargetText = Annotated[
    str | None,
    typer.Option(
        "--target",
        "-t",
        help="The force error to reach: 0.3kcal (kcal/mol/Å) or 13meV (meV/Å). The quote says what "
        "it costs; without --budget, that is the budget.",
    ),
]
Nodes = Annotated[
    int, typer.Option(min=1, max=100_000, help="Quote the wall time on this many nodes too.")
]
CoresPerNode = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=4096,
        help="Cores of each of the nodes quoted for. [default: as many as here]",
    ),
]


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
    screen.print(f"Written to {out}. {next_step(made, out)}", markup=False)


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
    asked.refuse_beside(plan)
    if molecule is None:
        plan = plan or workdir
    request = request_for(asked) if plan is None else request_of_plan(plan, workdir)
    book = with_book(request.recipe, labels, none=no_labels)
    request = replace(request, ledger=ledger, recipe=book)
    result = listening(lambda reporter: run_campaign(request, ray_address, reporter))
    print_json(result) if as_json else show_result(screen, result)


@dataclass(frozen=True, slots=True)
class Asked:
    """Options that say what is wanted, as they were written."""

    molecule: str | None
    budget: str | None
    target: str | None
    charge: int | None
    multiplicity: int | None
    recipe: Path | None
    workdir: Path | None

    def refuse_beside(self, plan: Path | None) -> None:
        """Raise `InputError` where a plan already says what is wanted."""
        said = (self.molecule, self.budget, self.target, self.recipe)
        if plan is not None and any(each is not None for each in said):
            raise InputError("Give a plan or --molecule with --budget or --target, not both.")


def request_for(asked: Asked) -> "Request":
    """What these options ask for; raises `InputError` for what can't be."""
    from forgefield.labelers.molecules import find_molecule
    from forgefield.platform.planning.budget import parse_budget
    from forgefield.platform.planning.imported import imported_labels
    from forgefield.platform.planning.recipe import load_recipe
    from forgefield.platform.planning.request import Request, with_settled_budget
    from forgefield.platform.planning.target_budget import budget_for_target
    from forgefield.platform.planning.targets import parse_target
    from forgefield.platform.run_folder import RunFolder, default_folder

    if asked.molecule is None or (asked.budget, asked.target) == (None, None):
        raise InputError(
            "Say --molecule with --budget or --target (or both), such as -m ethanol -b 20ccsd or "
            "-m ethanol -t 0.5kcal."
        )
    target = parse_target(asked.target) if asked.target is not None else None
    budget = parse_budget(asked.budget) if asked.budget is not None else None
    settings = load_recipe(asked.recipe)
    found = find_molecule(asked.molecule, charge=asked.charge, multiplicity=asked.multiplicity)
    by_target = budget is None
    named = f"{target:g}kcal" if by_target else str(budget)
    folder = RunFolder.at(asked.workdir or default_folder(found.name, named))
    if budget is None:
        assert target is not None  # noqa: S101
        there = imported_labels(folder, settings.methods)
        budget = budget_for_target(found, settings, target, there)
    request = Request(found, budget, settings, folder, target=target, by_target=by_target)
    return with_settled_budget(request)
