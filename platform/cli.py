"""The command `platform`: thin shells around the rooms, one function a command in `commands/`.

Results go to standard output (with `--json` as one JSON document), progress and errors to
standard error. Exit codes: 0 done, 1 a bug, 2 bad input, 3 a missing program, 4 no money,
5 the run is busy, 6 storage trouble, 7 failed labels, 8 a failed audit, 9 a training that
diverged, 130 interrupted.
"""

import json
import sys

import typer

from forgefield.platform.commands import (
    audit,
    benchmark,
    campaigns,
    datasets,
    label,
    ledger,
    rehearse,
    runs,
    split,
)
from forgefield.platform.commands.shared import messages
from forgefield.storage.errors import ForgefieldError

COMMANDS = (
    campaigns.plan,
    campaigns.run,
    rehearse.rehearse,
    runs.status,
    runs.report,
    runs.evaluate,
    audit.audit,
    ledger.ledger,
    datasets.export,
    datasets.import_,
    split.split,
    label.label,
    runs.doctor,
)
"""In the order of `platform --help`."""

app = typer.Typer(
    name="platform",
    help=(
        "Train a CCSD(T)-quality force field on a stated budget of labels.\n\n"
        "Start with **platform plan --molecule ethanol --budget 20ccsd**, which says "
        "what the budget buys; then **platform run plan.json** does it. "
        "Interrupt it whenever you like and run it again: nothing paid for is lost.\n\n"
        "Have the geometries already? **platform label frames.xyz** labels every one."
    ),
    rich_markup_mode="markdown",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in COMMANDS:
    app.command(command.__name__.rstrip("_"))(command)
app.add_typer(benchmark.benchmark)


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
