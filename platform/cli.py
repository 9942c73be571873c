"""The command `platform`: thin shells around the campaign, one function a command.

Results go to standard output (with `--json` as one JSON document), progress and errors to
standard error. Exit codes: 0 done, 1 a bug, 2 bad input, 3 a missing program, 4 no money,
5 the run is busy, 6 storage trouble, 7 a wave of failures, 130 interrupted.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.console import Console

from forgefield.storage.errors import ForgefieldError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

    from forgefield.platform.machine import Machine
    from forgefield.platform.reporter import Reporter
    from forgefield.platform.request import Request

Result = TypeVar("Result")
MISSING = 3

app = typer.Typer(
    name="platform",
    help=(
        "Train a CCSD(T)-quality force field on a stated budget of labels.\n\n"
        "Start with [bold]platform plan --molecule methanol --budget 20ccsd[/bold], which says "
        "what the budget buys; then [bold]platform run plan.json[/bold] does it. "
        "Interrupt it whenever you like and run it again: nothing paid for is lost."
    ),
    rich_markup_mode="rich",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
screen = Console(highlight=False)
messages = Console(stderr=True, highlight=False)

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
Charge = Annotated[int | None, typer.Option(help="Total charge, if the structure doesn't say.")]
Multiplicity = Annotated[int | None, typer.Option(help="Spin multiplicity 2S+1.")]
RecipeFile = Annotated[
    Path | None, typer.Option("--recipe", help="TOML file of settings; see deploy/recipes.")
]
Workdir = Annotated[
    Path | None, typer.Option(help="The run folder. [default: runs/MOLECULE-BUDGET]")
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        help="Join this Ray cluster (auto, or host:port). [default: start Ray here]",
    ),
]
Nodes = Annotated[int, typer.Option(min=1, help="Quote the wall time on this many nodes too.")]
CoresPerNode = Annotated[
    int | None, typer.Option(min=1, help="Cores of each of those nodes. [default: as many as here]")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]


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
    from forgefield.platform.budget import parse_budget
    from forgefield.platform.recipe import load_recipe
    from forgefield.platform.request import Request
    from forgefield.platform.run_folder import RunFolder, default_folder

    if molecule is None or budget is None:
        raise InputError("Say both --molecule and --budget, such as -m methanol -b 20ccsd.")
    parsed, settings = parse_budget(budget), load_recipe(recipe)
    found = find_molecule(molecule, charge=charge, multiplicity=multiplicity)
    folder = RunFolder.at(workdir or default_folder(found.name, str(parsed)))
    return Request(found, parsed, settings, folder, machines)


def _listening(work: "Callable[[Reporter], Result]") -> "Result":
    """Do long work with bars on standard error."""
    from forgefield.platform.terminal import Terminal

    try:
        with Terminal(messages).shown() as reporter:
            return work(reporter)
    except KeyboardInterrupt:
        messages.print("Stopped. The same command goes on from here; nothing paid for is lost.")
        raise


def _print_json(document: "BaseModel") -> None:
    sys.stdout.write(document.model_dump_json() + "\n")


@app.command()
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
    ray_address: RayAddress = None,
    as_json: Json = False,
) -> None:
    """Quote what a budget buys, and write the plan that [bold]run[/bold] executes."""
    from forgefield.platform.campaign import calibrated_plan, quote
    from forgefield.platform.console import show_plan
    from forgefield.platform.machine import machines_asked
    from forgefield.platform.run_folder import write_atomically

    machines = machines_asked(nodes, cores_per_node)
    request = _request(molecule, budget, charge, multiplicity, recipe, workdir, machines)
    if calibrate:
        made = _listening(lambda reporter: calibrated_plan(request, ray_address, reporter))
    else:
        made = quote(request)
    write_atomically(out, made.model_dump_json(indent=1))
    if as_json:
        _print_json(made)
        return
    show_plan(screen, made)
    screen.print(f"Written to {out}. Go on with: platform run {out}", markup=False)


@app.command()
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
    ray_address: RayAddress = None,
    as_json: Json = False,
) -> None:
    """Run a campaign: from a plan, from the flags of [bold]plan[/bold], or resume a run folder.

    Ends with a force field, its error on the hold-out and a report. Ctrl-C finishes the labels in
    flight and stops; the same command goes on from there.
    """
    from forgefield.platform.campaign import run_campaign
    from forgefield.platform.console import show_result
    from forgefield.platform.request import request_of_plan

    if plan is not None and (molecule, budget, recipe) != (None, None, None):
        raise InputError("Give a plan or --molecule and --budget, not both.")
    if plan is None and molecule is None and workdir is not None:
        plan = workdir
    if plan is None:
        request = _request(molecule, budget, charge, multiplicity, recipe, workdir)
    else:
        request = request_of_plan(plan, workdir)
    result = _listening(lambda reporter: run_campaign(request, ray_address, reporter))
    _print_json(result) if as_json else show_result(screen, result)


@app.command()
def status(
    folder: RunPath,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Redraw until the run ends.")
    ] = False,
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between redraws.")] = 2.0,
    as_json: Json = False,
) -> None:
    """Money spent, reserved and left; labels by tier; rate and time to go."""
    from forgefield.platform.console import show_status, watch_status
    from forgefield.platform.run_folder import RunFolder
    from forgefield.platform.status import status_of

    found = RunFolder.existing(folder)
    if watch and not as_json:
        watch_status(screen, found, every)
        return
    state = status_of(found)
    _print_json(state) if as_json else show_status(screen, state)


@app.command()
def report(
    folder: RunPath,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="HTML file. [default: RUN/report.html]")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the report of a run, one self-contained HTML file, finished or not."""
    from forgefield.platform.reporting.report import write_report
    from forgefield.platform.run_folder import RunFolder

    found = RunFolder.existing(folder)
    path = write_report(found, out or found.report)
    _say({"report": str(path)}, f"Report: {path}", as_json=as_json)


@app.command()
def evaluate(
    folder: RunPath,
    frames: Annotated[
        Path | None,
        typer.Option(help="Extended XYZ with energies (eV) and forces (eV/Å) to test on instead."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Errors of the force field and the baseline on the hold-out, or on frames of your own."""
    from forgefield.platform.console import show_evaluation
    from forgefield.platform.evaluating import evaluate_run
    from forgefield.platform.run_folder import RunFolder

    found = evaluate_run(RunFolder.existing(folder), frames)
    _print_json(found) if as_json else show_evaluation(screen, found)


@app.command()
def export(
    folder: RunPath,
    out: Annotated[Path, typer.Option("--out", "-o", help="Extended XYZ file to write.")],
    tier: Annotated[
        list[str] | None, typer.Option(help="Only this tier; may be given several times.")
    ] = None,
    purpose: Annotated[
        list[str] | None,
        typer.Option(help="Only this purpose: calibration, train, validation or holdout."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the labelled frames of a run as extended XYZ (eV, eV/Å), hold-out marked as such."""
    from forgefield.platform.exporting import export_frames
    from forgefield.platform.run_folder import RunFolder

    count = export_frames(RunFolder.existing(folder), out, tier or [], purpose or [])
    said = f"{count} frames written to {out}"
    _say({"frames": count, "path": str(out)}, said, as_json=as_json)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check this installation: versions, cores, threads, memory, and what is missing."""
    from forgefield.platform.console import show_checkup
    from forgefield.platform.doctor import examine

    found = examine()
    _print_json(found) if as_json else show_checkup(screen, found)
    if found.missing:
        raise typer.Exit(MISSING)


def _say(facts: dict[str, object], text: str, *, as_json: bool) -> None:
    sys.stdout.write((json.dumps(facts) if as_json else text) + "\n")


def main() -> None:
    """Entry point: errors become one message and an exit code, never a traceback."""
    try:
        app()
    except ForgefieldError as error:
        sys.exit(_complain(error))


def _complain(error: ForgefieldError) -> int:
    if "--json" in sys.argv:
        said = {"error": {"kind": type(error).__name__, "message": str(error)}}
        sys.stdout.write(json.dumps(said) + "\n")
    messages.print("[bold red]Error:[/bold red]", end=" ")
    messages.print(str(error), markup=False)
    return error.exit_code
