"""Commands that look at a run folder, and `platform doctor`, which looks at the installation."""

from pathlib import Path
from typing import Annotated

import typer

from forgefield.platform.commands.shared import Json, RunPath, print_json, say, screen

MISSING = 3


def status(
    folder: RunPath,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Redraw until the run ends.")
    ] = False,
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between redraws.")] = 2.0,
    as_json: Json = False,
) -> None:
    """Money spent, reserved and left; labels by tier; rate and time to go."""
    from forgefield.platform.run_folder import RunFolder
    from forgefield.platform.showing.console import show_status, watch_status
    from forgefield.platform.status import status_of

    found = RunFolder.campaign(folder)
    if watch and not as_json:
        watch_status(screen, found, every)
        return
    state = status_of(found)
    print_json(state) if as_json else show_status(screen, state)


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

    found = RunFolder.campaign(folder)
    path = write_report(found, out or found.report)
    say({"report": str(path)}, f"Report: {path}", as_json=as_json)


def evaluate(
    folder: RunPath,
    frames: Annotated[
        Path | None,
        typer.Option(help="Extended XYZ with energies (eV) and forces (eV/Å) to test on instead."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="PNG file for predictions against labels.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Errors of the force field and the baseline on the hold-out, or on frames of your own."""
    from forgefield.platform.evaluating import evaluate_run
    from forgefield.platform.run_folder import RunFolder
    from forgefield.platform.showing.console import show_evaluation

    found = evaluate_run(RunFolder.campaign(folder), frames, plot=plot)
    print_json(found) if as_json else show_evaluation(screen, found)


def doctor(as_json: Json = False) -> None:
    """Check this installation: versions, cores, threads, memory, and what is missing."""
    from forgefield.platform.doctor import examine
    from forgefield.platform.showing.console import show_checkup

    found = examine()
    print_json(found) if as_json else show_checkup(screen, found)
    if found.missing:
        raise typer.Exit(MISSING)
