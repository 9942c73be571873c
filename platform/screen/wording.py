"""Numbers as people read them."""

UNIT = "kcal/mol/Å"
"""Of errors that people see: mean absolute errors of force components."""
MOST_WRITTEN_OUT = 1e12
_DURATIONS = (
    (365.25 * 86400, "y"),
    (86400.0, "d"),
    (3600.0, "h"),
    (60.0, "min"),
    (1.0, "s"),
    (1e-3, "ms"),
    (0.0, "µs"),
)


def duration(seconds: float | None) -> str:
    """Seconds in the unit that suits them: `14 µs`, `0.71 ms`, `16 s`, `3.2 h`, `5.1 d`, `17 y`."""
    if seconds is None:
        return "–"
    size, unit = next((size, unit) for size, unit in _DURATIONS if seconds >= 1.0 * size)
    return f"{three_digits(seconds / (size or 1e-6))} {unit}"


def three_digits(value: float) -> str:
    """A number with about three significant digits and separators for thousands."""
    if value == 0 or 100 <= abs(value) < MOST_WRITTEN_OUT:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def amount(value: float, budget: str) -> str:
    """An amount in the unit of a budget: `12.3ccsd`, `$4.2`."""
    unit = budget.lstrip("$0123456789.e+-")
    return f"{three_digits(value)}{unit}" if unit else f"${three_digits(value)}"


def gigabytes(count: int) -> str:
    """Bytes as `0.65 GB`, with two significant digits."""
    return f"{count / 1e9:.2g} GB" if count < 1e11 else f"{count / 1e9:,.0f} GB"


def counted(number: int, noun: str) -> str:
    """A number and its noun: `1 label`, `1,200 labels`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def digits(value: float) -> str:
    """Three significant digits, zeros included: `12.0`, `0.150`, `1,234`."""
    if abs(value) >= 100 or value == 0:
        return f"{value:,.0f}"
    return f"{value:#.3g}"
