"""Rounds in numbers and words: what each was trained on, saw, had been forecast, and decided."""

from forgefield.platform.planning.allocation import MIDDLE, TARGET
from forgefield.platform.reporting.facts import Facts
from forgefield.platform.reporting.parts import DASH, Table, money
from forgefield.platform.rounds.documents import Band, Round
from forgefield.platform.screen.wording import UNIT, digits, duration


def rounds_table(facts: Facts) -> Table:
    """Labels, errors, forecasts and money of every round."""
    head = (
        "round",
        TARGET.value,
        MIDDLE.value,
        "cheap",
        f"error, {UNIT}",
        "forecast",
        "spent",
        "time",
    )
    rows = tuple(_row(facts, record) for record in facts.rounds)
    note = (
        "Labels trained on; validation error of the best force field, and what the rounds before "
        "had forecast for it (80 %). Rounds train shorter, and single networks; decisions speak "
        "of the last training. Time: labels and training."
    )
    return Table(head, rows, note=note)


def _row(facts: Facts, record: Round) -> tuple[str, ...]:
    counts = record.counts
    return (
        str(record.number),
        f"{counts.target:,}",
        f"{counts.middle:,}",
        f"{counts.cheap:,}",
        digits(record.error),
        _expected(record.expected),
        money(facts, record.spent),
        duration(record.wall_s),
    )


def _expected(band: Band | None) -> str:
    return DASH if band is None else f"{digits(band.low)} to {digits(band.high)}"


def decisions_table(facts: Facts) -> Table:
    """What every round decided."""
    rows = tuple((str(record.number), f"{record.why}.") for record in facts.rounds)
    return Table(("after round", "the decision"), rows, left=2)
