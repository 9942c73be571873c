"""The section that holds the quote against what happened, and says why the labels ended."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from forgefield.platform.drawing.figures import (
    FORCE_FIELD,
    INK,
    LINE,
    SOFT,
    Picture,
    beside,
    blank,
    picture,
)
from forgefield.platform.planning.plan import Plan
from forgefield.platform.reporting.facts import Facts
from forgefield.platform.reporting.parts import DASH, Section, Table, count, listed, money
from forgefield.platform.reporting.promises import (
    Ends,
    Promise,
    Unit,
    labelled,
    planned_and_bought,
    promises,
)
from forgefield.platform.results import spent_words
from forgefield.platform.screen.wording import digits, duration, three_digits
from forgefield.storage.records import Tier
from forgefield.storage.units import from_micro

TITLE = "Quote and outcome"
WIDEST = (0.25, 4.0)
FINE = (0.25, 0.33, 0.5, 0.67, 0.8, 1, 1.25, 1.5, 2, 3, 4)
COARSE = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)


def quote_section(facts: Facts) -> Section:
    """What was quoted, what happened, and why no more was bought."""
    if facts.plan is None:
        return Section("quote", TITLE, missing="There is no quote yet.")
    found = promises(facts, facts.plan)
    tables = (_labels(facts, facts.plan), *((_numbers(facts, found),) if found else ()))
    pictures = (_picture(found),) if found else ()
    return Section("quote", TITLE, _lead(facts, facts.plan, found), pictures, tables)


def why_it_ended(facts: Facts, plan: Plan) -> str:
    """The reason that the last round gave, or that the money or the pool did; empty before."""
    if not labelled(facts):
        return ""
    last = facts.rounds[-1] if facts.rounds else None
    if last and not last.spend_rest:
        return last.why
    return spent_words(plan, facts.balance, facts.tally)


def _lead(facts: Facts, plan: Plan, found: Sequence[Promise]) -> str:
    why, left = why_it_ended(facts, plan), from_micro(facts.balance.left_micro)
    said = "Labelling isn't over."
    if why:
        back = "" if "returned" in why else f"; {money(facts, left)} is left"
        said = f"Why labels ended: {why}{back}."
    held = [each for each in found if each.kept is not None]
    if held:
        kept = sum(bool(each.kept) for each in held)
        said += f" Of {count(len(held), 'quoted range')}, {kept} held."
    errors = [each for each in found if each.unit is Unit.ERROR]
    if errors:
        first = errors[0]
        place = "inside" if first.kept else "outside"
        said += (
            f" The error came out {place} the 80 % band of {_ends(first, first.quoted)} that the "
            f"forecast had given; |ln(measured/forecast)| is {first.log_error:.2f}."
        )
    return said


def _labels(facts: Facts, plan: Plan) -> Table:
    rows: list[tuple[str, ...]] = []
    for quote in plan.tiers:
        planned, done, failed = planned_and_bought(facts, quote)
        rows.append((quote.tier.value, f"{planned:,}", f"{done:,}", f"{failed:,}"))
    columns = [[int(row[place].replace(",", "")) for row in rows] for place in (1, 2, 3)]
    rows.append(("all", *(f"{sum(column):,}" for column in columns)))
    head = ("labels", "planned", "done", "failed")
    note = "Calibration is among both; labels that were imported or shared count as done."
    if facts.rounds:
        note += " In rounds the numbers follow the errors seen, not the plan."
    return Table(head, tuple(rows), last_is_sum=True, note=note)


def _numbers(facts: Facts, found: Sequence[Promise]) -> Table:
    head = ("", "quoted", "happened", "ratio", "|ln\u00a0ratio|", "in range")
    rows = tuple(
        (
            each.name,
            _words(facts, each, each.quoted),
            _words(facts, each, each.found),
            digits(each.ratio),
            f"{each.log_error:.2f}",
            {None: DASH, True: "yes", False: "no"}[each.kept],
        )
        for each in found
    )
    return Table(head, rows, note=_note(facts, found))


def _note(facts: Facts, found: Sequence[Promise]) -> str:
    said = "Quoted ranges: 80 % for errors, as so many hold-out frames measure them, 90 % for the "
    said += (
        "mean of so many labels, whose scatter evens out: it is narrower than the quote's for one "
    )
    said += "label. Measured ones: 95 %, of the mean."
    plan = facts.plan
    if plan is not None and any(each.unit is Unit.TIME for each in found):
        cores = count(plan.wall[0].cores, "core")
        said += f" Labelling time is quoted for one node of {cores}"
        trained = sum(record.trained_s for record in facts.rounds)
        said += f", without the rounds' training ({duration(trained)})." if trained else "."
    if plan is not None and any(plan.recipe.is_priced(tier) for tier in Tier):
        said += " Prices are stated, so labelling time can't be compared."
    return said


def _words(facts: Facts, promise: Promise, ends: Ends) -> str:
    if promise.unit is Unit.TIME:
        return duration(ends.value)
    if promise.unit is Unit.MONEY:
        return money(facts, ends.value)
    if ends.holds(ends.value) is None:
        return digits(ends.value) if promise.unit is Unit.ERROR else duration(ends.value)
    value, unit = (digits(ends.value), "") if promise.unit is Unit.ERROR else _split(ends.value)
    return f"{value} ({_ends(promise, ends)}) {unit}".rstrip()


def _ends(promise: Promise, ends: Ends) -> str:
    """Both ends, times in the unit of the value."""
    if promise.unit is Unit.ERROR:
        return f"{digits(ends.low)} to {digits(ends.high)}"
    size = ends.value / float(_split(ends.value)[0].replace(",", ""))
    return f"{three_digits(ends.low / size)} to {three_digits(ends.high / size)}"


def _split(seconds: float) -> tuple[str, str]:
    number, unit = duration(seconds).split()
    return number, unit


def _picture(found: Sequence[Promise]) -> Picture:
    """What happened in parts of what was quoted; grey is the quoted range."""
    figure = blank(0.75 + 0.34 * len(found))
    axes = figure.subplots()
    axes.axvline(1, color=INK, lw=0.8, zorder=1)
    ends = [*WIDEST]
    for row, each in enumerate(found):
        ends += _row(axes, row, each)
    axes.set(xscale="log", xlim=(0.9 * min(ends), 1.5 * max(ends)), ylim=(len(found) - 0.4, -0.6))
    axes.set_yticks(range(len(found)), [each.name for each in found])
    axes.xaxis.set_major_locator(FixedLocator(COARSE if max(ends) / min(ends) > 20 else FINE))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: three_digits(value)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("happened ÷ quoted")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    said = listed([f"{each.name} {digits(each.ratio)}" for each in found])
    caption = "On the line things came as quoted. Grey: the range that the quote gave. Bars: 95 % "
    caption += "intervals of what was measured."
    return picture(figure, "quote", f"Happened divided by quoted: {said}.", caption)


def _row(axes: Axes, row: int, each: Promise) -> list[float]:
    """Draws one quantity; its ends on the axis."""
    quoted, found, scale = each.quoted, each.found, each.quoted.value
    reach = [each.ratio]
    if quoted.holds(quoted.value) is not None:
        low, high = quoted.low / scale, quoted.high / scale
        axes.barh(row, high - low, left=low, height=0.5, color=LINE, lw=0, zorder=0.5)
        reach += [low, high]
    colour = FORCE_FIELD if each.kept is not False else INK
    if found.holds(found.value) is not None:
        low, high = max(found.low / scale, 0.02), found.high / scale
        axes.plot([low, high], [row, row], color=colour, lw=1.2)
        reach += [low, high]
    fill = colour if each.kept is not None else SOFT
    axes.plot([each.ratio], [row], "o", ms=6.5, color=fill, zorder=3)
    beside(axes, digits(each.ratio), max(reach), row)
    return [float(np.clip(end, 0.02, 50)) for end in reach]
