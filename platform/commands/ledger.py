"""`platform ledger`: what was spent, on what, and whether the books are sound."""

from typing import Annotated

import typer

from forgefield.platform.commands.shared import Json, RunPath, messages, print_json, screen
from forgefield.storage.errors import InputError, StorageError


def ledger(
    folder: RunPath,
    entries: Annotated[
        int, typer.Option("--entries", "-n", min=0, help="How many of the last entries to show.")
    ] = 10,
    every: Annotated[bool, typer.Option("--all", help="Show every entry.")] = False,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Replay every entry from the start and check each invariant, the frames' too.",
        ),
    ] = False,
    withdraw: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LABEL",
            help="Take a label back, by its job's key or its sequence number; may be given "
            "several times. What it cost stays spent.",
        ),
    ] = None,
    because: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Why labels are withdrawn.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Balance, labels and money by tier and purpose, the last entries of a run's ledger.

    Also while the run is going on. With **--verify** the exit code is 6 where an invariant is
    broken, and each one is named.
    """
    from forgefield.platform.data_sets.withdrawing import withdraw_labels
    from forgefield.platform.ledger_showing.account import account_of
    from forgefield.platform.ledger_showing.showing import show_account
    from forgefield.platform.run_folder import RunFolder

    found = RunFolder.existing(folder)
    if bool(withdraw) != bool(because):
        raise InputError("Say both --withdraw LABEL and --because TEXT.")
    if withdraw and because:
        count = withdraw_labels(found, withdraw, because)
        messages.print(f"{count} withdrawn. Their money stays spent.", markup=False)
    account = account_of(found, None if every else entries, verify=verify)
    print_json(account) if as_json else show_account(screen, account)
    if account.broken:
        raise typer.Exit(StorageError.exit_code)
