"""The frames and tables that screens are drawn in."""

from collections.abc import Iterable, Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

ACCENT = "cyan"


def grid(rows: Iterable[tuple[str, RenderableType]]) -> Table:
    """Two columns: what, and its value."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, value in rows:
        table.add_row(name, Text(value) if isinstance(value, str) else value)
    return table


def tier_table(columns: Sequence[str], rows: Iterable[Sequence[RenderableType]]) -> Table:
    """A line a tier: its name, its method, then right-aligned `columns`."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("tier", no_wrap=True)
    table.add_column("method", min_width=12)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def panel(title: str, *parts: RenderableType) -> Panel:
    """Parts one below another, a line between, in a titled frame."""
    spaced = [item for part in parts for item in (part, "")][:-1]
    return Panel(Group(*spaced), title=title, title_align="left", border_style=ACCENT)
