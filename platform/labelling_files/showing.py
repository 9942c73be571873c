"""What `platform label` prints: the quote, or what was done."""

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from forgefield.platform.labelling_files.quote import FileQuote
from forgefield.platform.labelling_files.summary import FailedFrame, LabelSummary
from forgefield.platform.screen.panels import grid, panel
from forgefield.platform.screen.wording import duration, gigabytes, three_digits

MOST_SHOWN = 20
"""Failures listed on the screen; `--json` lists all."""


def show_quote(console: Console, quote: FileQuote) -> None:
    """What labelling would cost."""
    factor = quote.high / quote.core_seconds if quote.core_seconds else 1.0
    hours = three_digits(quote.core_seconds / 3600)
    cost = f"{duration(quote.core_seconds)} of one core = {hours} core-hours"
    rows: list[tuple[str, RenderableType]] = [
        ("file", f"{quote.file} ({quote.frames:,} frames)"),
        ("method", quote.method),
        ("to be labelled", _to_do(quote)),
        ("cost", f"{cost}; ×/÷ {three_digits(factor)}"),
        ("wall time", f"{duration(quote.wall_s)} here" if quote.labels else "none"),
        ("workers", quote.why),
        ("memory", f"{gigabytes(quote.memory_bytes)} for the largest label"),
    ]
    note = Text("Estimated; nothing was computed.", style="dim")
    console.print(panel("Estimate", grid(rows), _molecules(quote), note))


def _to_do(quote: FileQuote) -> str:
    spared = quote.frames - quote.labels - quote.broken
    said = f"{quote.labels:,} frames"
    said += f"; {spared:,} are labelled already, or equal another" if spared else ""
    return said + (f"; {quote.broken:,} can't be: their atoms overlap" if quote.broken else "")


def _molecules(quote: FileQuote) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("molecule")
    for name in ("frames", "to do", "a label", "memory"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in sorted(quote.molecules, key=lambda row: -row.labels * row.core_seconds):
        table.add_row(
            row.molecule,
            f"{row.frames:,}",
            f"{row.labels:,}",
            duration(row.core_seconds),
            gigabytes(row.memory_bytes),
        )
    return table


def show_summary(console: Console, done: LabelSummary) -> None:
    """What was labelled, and what wasn't and why."""
    said = f"{done.labelled:,} of {done.frames:,} frames labelled with {done.method}"
    said += f" ({done.computed:,} now, {done.reused:,} before)" if done.reused else ""
    console.print(Text(said, style="green" if not done.failures else "yellow"))
    if done.computed:
        console.print(
            f"{duration(done.wall_s)}, {duration(done.core_seconds)} of one core; {done.why}",
            markup=False,
        )
    if done.failures:
        console.print(_failures(done.failures))
    if done.labelled:
        console.print(f"Written to {done.out}", soft_wrap=True, markup=False)


def _failures(failures: tuple[FailedFrame, ...]) -> Text:
    lines = [f"frame {f.frame}: {f.kind}: {f.message}" for f in failures[:MOST_SHOWN]]
    more = len(failures) - len(lines)
    lines += [f"and {more:,} more; --json lists them all"] if more else []
    return Text("Without a label:\n" + "\n".join(lines), style="yellow")
