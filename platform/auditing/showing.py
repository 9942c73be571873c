"""What `platform audit` prints: its quote, then its findings."""

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from forgefield.platform.auditing.documents import Audit, AuditQuote, TierAudit
from forgefield.platform.auditing.limits import LIMITS
from forgefield.platform.screen.panels import grid, panel
from forgefield.platform.screen.wording import duration, gigabytes, three_digits

MOST_SHOWN = 10
"""Flags listed on the screen; `--json` lists all."""


def show_quote(console: Console, quote: AuditQuote) -> None:
    """What an audit would cost."""
    cost = f"{duration(quote.core_seconds)} of one core"
    rows: list[tuple[str, RenderableType]] = [
        ("run", quote.folder),
        ("molecule", quote.molecule),
        ("cost", f"{cost}; the run's budget pays nothing of it"),
        ("wall time", f"{duration(quote.wall_s)} here, {_threads(quote)}"),
    ]
    table = _table(("labels", "checked", "core time", "memory"))
    for row in quote.tiers:
        table.add_row(
            row.tier.value,
            row.method,
            f"{row.labels:,}",
            str(row.checked),
            duration(row.core_seconds),
            gigabytes(row.memory_bytes),
        )
    note = Text("Estimated; nothing was computed.", style="dim")
    console.print(panel("Estimate", grid(rows), table, note))


def in_one_line(quote: AuditQuote) -> str:
    """The quote before the work begins."""
    checked = sum(row.checked for row in quote.tiers)
    return (
        f"Auditing {checked} of {sum(row.labels for row in quote.tiers):,} labels: about "
        f"{duration(quote.core_seconds)} of one core, {duration(quote.wall_s)} here with "
        f"{_threads(quote)}; the run pays nothing."
    )


def _threads(quote: AuditQuote) -> str:
    said = "1 thread" if quote.threads == 1 else f"{quote.threads} threads"
    return f"{said} beside the run" if quote.running else said


def show_audit(console: Console, found: Audit) -> None:
    """The findings."""
    rows: list[tuple[str, RenderableType]] = [
        ("run", found.quote.folder),
        ("molecule", found.quote.molecule),
        ("took", f"{duration(found.wall_s)}, {duration(found.core_seconds)} of one core"),
    ]
    tables = _checks(found), _stored(found)
    console.print(panel("Audit", grid(rows), *tables, _notes(found), _verdict(found)))


def _checks(found: Audit) -> Table:
    table = _table(("checked", "energy", "force", "slope", ""), method=False)
    for tier in found.tiers:
        limits = LIMITS[tier.tier]
        wrong = sum(bool(check.problem) for check in tier.checks)
        table.add_row(
            tier.tier.value,
            f"{len(tier.checks)} of {tier.labels:,}",
            _against(tier.worst("energy_change"), limits.energy),
            _against(tier.worst("force_change"), limits.force),
            _against(tier.worst("slope_error"), limits.slope),
            Text(f"{wrong} wrong", style="bold red") if wrong else Text("✓", style="green"),
        )
    return table


def _against(value: float | None, limit: float) -> Text:
    if value is None:
        return Text("–", style="dim")
    said = Text(_tiny(value), style="green" if value <= limit else "bold red")
    return said.append(f" / {_tiny(limit)}", style="dim")


def _stored(found: Audit) -> Table:
    names = ("|Σ F|", "|Σ r×F|", "T1", "gap", "SCF", "t", "λ", "helped")
    table = _table(names, method=False)
    for tier in found.tiers:
        table.add_row(tier.tier.value, *_diagnostics(tier))
    return table


def _diagnostics(tier: TierAudit) -> list[str]:
    known = tier.diagnostics
    return [
        *(_tiny(value) for value in (known.residual_force, known.residual_torque)),
        _plain(known.t1),
        _plain(known.gap),
        *(_plain(n) for n in (known.scf_iterations, known.cc_iterations, known.lambda_iterations)),
        "–" if known.scf_iterations is None else str(known.remedies),
    ]


def _notes(found: Audit) -> Text:
    text = Text(style="dim")
    text.append(
        "Largest differences / most allowed, kcal/mol and kcal/mol/Å: the label made again, and "
        "its forces along a random direction against energies.\n"
        "Of all stored labels: largest |Σ F| (kcal/mol/Å), |Σ r×F| (kcal/mol) and T1, smallest gap "
        "(eV), mean iterations, labels whose SCF was helped.\n"
        f"Labels drawn with --seed {found.quote.seed}."
    )
    for tier in found.tiers:
        text.append(f"\n{tier.tier.value}: {tier.method}" + (tier.note and f", {tier.note}"))
    return text


def _verdict(found: Audit) -> Text:
    checked = sum(len(tier.checks) for tier in found.tiers)
    text = Text()
    for check in found.wrong:
        text.append(f"{check.name}: {check.problem}\n", style="bold red")
    for flag in found.flags[:MOST_SHOWN]:
        text.append(f"Look at label {flag.seq} ({flag.tier}): {flag.reason}\n", style="yellow")
    more = len(found.flags) - MOST_SHOWN
    if more > 0:
        text.append(f"and {more:,} more; --json lists them all\n", style="yellow")
    if found.wrong:
        return text.append(f"{len(found.wrong)} of {checked} labels are wrong.", style="bold red")
    return text.append(f"All {checked} labels are what their methods give here.", style="green")


def _table(columns: tuple[str, ...], *, method: bool = True) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("tier", no_wrap=True)
    if method:
        table.add_column("method")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _plain(value: float | None) -> str:
    return "–" if value is None else three_digits(value)


def _tiny(value: float | None) -> str:
    """One digit and a power of ten, where zeros would hide the size."""
    if value is None:
        return "–"
    return "0" if value == 0 else f"{value:.0e}" if value < 0.01 else three_digits(value)
