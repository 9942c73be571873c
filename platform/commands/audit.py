"""`platform audit`: are the labels of a run what their methods say?"""

from typing import Annotated

import typer

from forgefield.platform.commands.shared import Json, RunPath, messages, print_json, screen
from forgefield.storage.errors import AuditFailed


def audit(
    folder: RunPath,
    labels: Annotated[
        int, typer.Option("--labels", "-n", min=1, help="Labels to check of each tier.")
    ] = 2,
    tiers: Annotated[
        list[str] | None,
        typer.Option(help="Only these: empirical, xtb, dft, ccsd; commas between them."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws other labels.")] = 0,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, help="Threads here. [default: all cores for more than a minute's work, else 1]"
        ),
    ] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Say what it would cost, and compute nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check labels of a run, finished or not: made again, and forces as slopes of energies.

    A few labels of each tier are computed a second time on this machine, and their forces held
    against differences of energies. What all labels stored about themselves is looked through: T1,
    gaps, forces that don't sum to zero. Nothing of the run is changed or paid. The exit code is 8
    where a label is wrong.
    """
    from forgefield.platform.auditing.audit import audit as audit_run
    from forgefield.platform.auditing.audit import prepare
    from forgefield.platform.auditing.showing import in_one_line, show_audit, show_quote
    from forgefield.platform.run_folder import RunFolder
    from forgefield.platform.screen.terminal import Terminal

    prepared = prepare(RunFolder.campaign(folder), labels, tuple(tiers or ()), seed, threads)
    if estimate:
        print_json(prepared.quote) if as_json else show_quote(screen, prepared.quote)
        return
    messages.print(in_one_line(prepared.quote), markup=False)
    with Terminal(messages).shown() as reporter:
        found = audit_run(prepared, reporter)
    print_json(found) if as_json else show_audit(screen, found)
    if found.wrong:
        raise typer.Exit(AuditFailed.exit_code)
