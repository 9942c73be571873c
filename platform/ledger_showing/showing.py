"""A run's books on the screen."""

import time
from typing import Literal

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from forgefield.platform.ledger_showing.account import Account, Money, Rates
from forgefield.platform.screen.panels import grid, panel
from forgefield.platform.screen.wording import duration, three_digits


def show_account(console: Console, account: Account) -> None:
    """Balance, tiers, withdrawals, the last entries, and the audit where one was asked for."""
    facts = grid([("run", account.folder), ("ledger", account.ledger)])
    parts: list[RenderableType] = [facts, _balance(account)]
    if account.tiers:
        parts += [_labels(account), _spent(account)]
    parts.append(Text(_rates(account.rates), style="dim"))
    if account.withdrawals:
        parts.append(_withdrawals(account))
    if account.entries:
        parts.append(_entries(account))
    if account.broken is not None:
        parts.append(_audit(account.broken, account.entries_in_all))
    console.print(panel("Ledger", *parts))


def _balance(account: Account) -> Table:
    table = _table("", "core-seconds", "core-hours", "ccsd", "dollars")
    rows = (("cap", account.cap), ("spent", account.spent), ("reserved", account.reserved))
    for name, money in (*rows, ("left", account.left)):
        table.add_row(name, three_digits(money.core_seconds), *_currencies(money))
    return table


def _labels(account: Account) -> Table:
    rare = [name for name in _RARE if any(getattr(row, name) for row in account.tiers)]
    table = _table("tier", "purpose", "labels", "running", "failed", *rare, "a label")
    for row in account.tiers:
        counts = (row.done, row.in_flight, row.failed, *(getattr(row, name) for name in rare))
        said = (f"{count:,}" for count in counts)
        table.add_row(row.tier.value, row.purpose, *said, duration(row.core_seconds_a_label))
    return table


def _spent(account: Account) -> Table:
    table = _table("tier", "purpose", "core-hours", "ccsd", "dollars", "wasted")
    for row in account.tiers:
        wasted = three_digits(row.wasted.core_hours)
        table.add_row(row.tier.value, row.purpose, *_currencies(row.spent), wasted)
    return table


def _currencies(money: Money) -> tuple[str, str, str]:
    labels = "–" if money.ccsd is None else three_digits(money.ccsd)
    return three_digits(money.core_hours), labels, f"${three_digits(money.dollars)}"


def _rates(rates: Rates) -> str:
    price = f"${rates.dollars_a_core_hour:g} a core-hour"
    if rates.ccsd_core_seconds is None:
        return f"{price}; ccsd isn't known before the calibration. Wasted: core-hours that failed."
    source = f"mean of {rates.ccsd_measured} calibration labels"
    if not rates.ccsd_measured:
        source = "estimated, nothing was measured"
    return (
        f"1ccsd = {duration(rates.ccsd_core_seconds)} of a core, {rates.ccsd_method} ({source}); "
        f"{price}. Wasted: core-hours of failed attempts, part of what was spent."
    )


def _withdrawals(account: Account) -> Table:
    table = _table("withdrawn on", "frame", "job", "because")
    for row in account.withdrawals:
        table.add_row(_when(row.at), str(row.frame_seq), row.job_key, Text(row.reason))
    return table


def _entries(account: Account) -> Table:
    table = _table("entry", "time", "kind", "reservation", "core-seconds", "note")
    for line in account.entries:
        number = "" if line.reservation is None else str(line.reservation)
        amount = f"{line.core_seconds:,.6g}"
        table.add_row(
            str(line.id), _when(line.at), line.kind.value, number, amount, Text(line.note)
        )
    if len(account.entries) < account.entries_in_all:
        table.caption = f"the last {len(account.entries):,} of {account.entries_in_all:,} entries"
    return table


def _audit(broken: tuple[str, ...], entries: int) -> Text:
    if not broken:
        said = f"All {entries:,} entries replay to this balance, and every invariant holds."
        return Text(said, style="green")
    return Text(f"{len(broken):,} broken:\n" + "\n".join(broken), style="bold red")


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


_RARE = ("adopted", "withdrawn")
_WORDS = {"", "tier", "purpose", "withdrawn on", "job", "because", "time", "kind", "note"}


def _table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", caption_justify="left")
    for name in names:
        side: Literal["left", "right"] = "left" if name in _WORDS else "right"
        table.add_column(name, justify=side, no_wrap=name not in {"note", "because"})
    return table
