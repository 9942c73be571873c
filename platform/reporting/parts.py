"""What the page is made of: sections of figures and tables, as plain values for the template."""

from collections.abc import Sequence
from dataclasses import dataclass

from forgefield.platform.drawing.figures import Picture
from forgefield.platform.reporting.facts import Facts
from forgefield.platform.screen.wording import three_digits
from forgefield.storage.units import CORE_SECONDS_PER_CORE_HOUR

DASH = "–"


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as text; the first `left` columns are words, the others numbers."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1
    last_is_sum: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page. `lead` says in words what is to be seen, `missing` why there's less."""

    id: str
    title: str
    lead: str = ""
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()
    missing: str = ""


def money(facts: Facts, core_seconds: float) -> str:
    """An amount in the budget's unit: `12.3 ccsd`, `$4.20`."""
    amount = core_seconds / facts.unit_core_seconds
    if facts.unit == "$":
        return f"${amount:,.2f}" if amount == 0 or amount >= 0.01 else "<$0.01"
    said = three_digits(amount) if amount == 0 or amount >= 0.01 else "<0.01"
    return f"{said} {facts.unit}"


def core_hours(core_seconds: float) -> str:
    """An amount in core-hours, with the unit; core-seconds below a tenth of an hour."""
    if 0 < core_seconds < 360:
        return f"{three_digits(core_seconds)} core-s"
    return f"{three_digits(core_seconds / CORE_SECONDS_PER_CORE_HOUR)} core-h"


def percent(share: float) -> str:
    """A share as a percentage, without false digits."""
    return f"{100 * share:.1f} %" if 0 < share < 0.1 else f"{100 * share:.0f} %"


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 label`, `20 labels`, `no labels`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {plural or noun + 's'}" if number else f"no {plural or noun + 's'}"


def listed(items: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def time_unit(seconds: float) -> tuple[float, str]:
    """Seconds in a unit that suits a time axis this long, and its name."""
    sizes = ((2 * 86400, 86400.0, "days"), (2 * 3600, 3600.0, "hours"), (120, 60.0, "minutes"))
    return next(((size, word) for least, size, word in sizes if seconds >= least), (1.0, "seconds"))
