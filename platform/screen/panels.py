"""The frames that screens are drawn in."""

from collections.abc import Iterable

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


def panel(title: str, *parts: RenderableType) -> Panel:
    """Parts one below another, a line between, in a titled frame."""
    spaced = [item for part in parts for item in (part, "")][:-1]
    return Panel(Group(*spaced), title=title, title_align="left", border_style=ACCENT)
