"""The screen of a rehearsal: the quote beside what happened."""

import math

from rich.console import Console, RenderableType
from rich.table import Table

from forgefield.platform.replaying.lessons import ErrorLesson, Rehearsed
from forgefield.platform.screen.panels import grid, panel, tier_table
from forgefield.platform.screen.wording import UNIT, amount, duration, three_digits


def show_rehearsed(console: Console, found: Rehearsed) -> None:
    """What a rehearsal taught."""
    console.print(panel("Rehearsal", grid(_facts(found)), _tiers(found)))
    for name, place in (("report", found.result.report), ("run folder", found.result.folder)):
        console.print(f"{name:<11}  {place}", soft_wrap=True, markup=False)


def _facts(found: Rehearsed) -> list[tuple[str, RenderableType]]:
    unit = found.cap / (found.result.spent + found.result.left)
    spent = amount(found.spent / unit, found.result.budget)
    planned = amount(found.planned_cost / unit, found.result.budget)
    return [
        ("target", found.target),
        ("labels cost", "what they took" if found.own_costs else "what the plan quotes"),
        ("error", error_words(found.error)),
        ("money", f"{planned} planned, {spent} spent of {found.result.budget}"),
        ("labelling", _wall(found)),
        ("training", training_words(found)),
    ]


def error_words(error: ErrorLesson) -> str:
    """`0.9 to 1.6 forecast, 1.2 measured: inside …`."""
    measured = (
        f"{three_digits(error.measured)} {UNIT} measured on {error.frames} hold-out frames "
        f"(95 %: {three_digits(error.low)} to {three_digits(error.high)})"
    )
    if error.forecast is None or error.log_ratio is None:
        return f"{measured}; the plan had no forecast"
    low, median, high = (
        three_digits(each)
        for each in (error.forecast.low, error.forecast.median, error.forecast.high)
    )
    verdict = "inside" if error.inside else "outside"
    factor = three_digits(math.exp(abs(error.log_ratio)))
    side = "high" if error.log_ratio > 0 else "low"
    return (
        f"{measured}; forecast {median} (80 %: {low} to {high}): {verdict} the band, the median "
        f"{factor} times too {side}"
    )


def _wall(found: Rehearsed) -> str:
    said = f"{duration(found.planned_wall_s)} quoted, {duration(found.wall_s)} here"
    if found.own_costs:
        return said
    return f"{said}, where labels take their stand-ins' time"


def training_words(found: Rehearsed) -> str:
    """How long it took, and whether the real run trains longer."""
    said = duration(found.training_s)
    if found.real_effort <= found.effort:
        return said
    here, there = three_digits(found.effort), three_digits(found.real_effort)
    return (
        f"{said}; {here} × the recipe's steps, the real run takes {there} ×: its errors, forecast "
        "and measured, should be smaller than these (--training quoted rehearses that too)"
    )


def _tiers(found: Rehearsed) -> Table:
    names = ("planned", "bought", "failed", "core-h quoted", "core-h spent")
    rows = (
        (
            row.tier.value,
            row.method,
            f"{row.planned:,}",
            f"{row.bought:,}",
            f"{row.failed:,}",
            three_digits(row.planned_cost / 3600),
            three_digits(row.spent / 3600),
        )
        for row in found.tiers
    )
    return tier_table(names, rows)
