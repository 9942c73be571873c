"""The quote on a screen: what a budget buys, where every figure comes from, and what else there is.

Errors are mean absolute errors of force components in kcal/mol/Å; ranges hold 8 of 10 cases.
"""

from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.quote_parts import ErrorForecast, hopeless
from forgefield.platform.planning.tier_quotes import TierQuote
from forgefield.platform.screen.panels import panel, tier_table
from forgefield.platform.screen.wording import (
    UNIT,
    duration,
    gigabytes,
    three_digits,
)
from forgefield.platform.showing.plan_facts import error_words, facts


def show_plan(console: Console, plan: Plan) -> None:
    """The quote of a plan."""
    parts: list[RenderableType] = [facts(plan), _tiers(plan)]
    if plan.alternatives:
        parts.append(_budgets(plan))
    console.print(panel("Quote", *parts, _notes(plan)))


def next_step(plan: Plan, path: Path) -> str:
    """What to do with the plan in this file."""
    if not all(quote.fits for quote in plan.tiers):
        return "It can't run here, for want of memory."
    doubtful = plan.forecast is not None and hopeless(plan.forecast, plan.target)
    return f"{'To run it all the same' if doubtful else 'Go on with'}: platform run {path}"


def _tiers(plan: Plan) -> Table:
    names = ("a label", "×/÷", "memory", "labels", "core-hours")
    rows = (
        (
            quote.tier.value,
            quote.method,
            duration(quote.core_seconds),
            three_digits(quote.high / quote.core_seconds),
            Text(gigabytes(quote.memory_bytes), style="" if quote.fits else "bold red"),
            f"{quote.total:,}",
            three_digits(quote.cost / 3600),
        )
        for quote in plan.tiers
    )
    return tier_table(names, rows)


def _budgets(plan: Plan) -> Table:
    """This budget among others."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    names = ("budget", "core-h", "ccsd + dft to train on", "error", "8 of 10", "takes")
    for name in names:
        table.add_column(name, justify="right", no_wrap=name != names[2])
    for _, row, style in sorted(_rows(plan), key=lambda row: row[0]):
        table.add_row(*row, style=style)
    return table


def _rows(plan: Plan) -> list[tuple[float, tuple[str, ...], str]]:
    """(core-seconds, cells, style) of every budget with a forecast."""
    rows: list[tuple[float, tuple[str, ...], str]] = [
        (
            other.core_seconds,
            (
                other.budget,
                three_digits(other.core_seconds / 3600),
                _labels(other.target, other.middle),
                *error_words(other.error),
                duration(other.wall_s),
            ),
            "",
        )
        for other in plan.alternatives
    ]
    if plan.forecast is not None:
        rows.append((plan.cap, _own_row(plan, plan.forecast), "bold"))
    return rows


def _own_row(plan: Plan, forecast: ErrorForecast) -> tuple[str, ...]:
    target, middle = (
        quote.labels.get("train", 0) + quote.labels.get("calibration", 0) + quote.imported
        for quote in (plan.tiers[-1], plan.tiers[-2])
    )
    return (
        plan.budget,
        three_digits(plan.cap / 3600),
        _labels(target, middle),
        *error_words(forecast),
        duration(plan.wall[0].seconds),
    )


def _labels(target: int, middle: int) -> str:
    return f"{target:,} + {middle:,}"


def _notes(plan: Plan) -> RenderableType:
    target = plan.tiers[-1]
    split = ", ".join(f"{n} {name}" for name, n in target.labels.items())
    here = plan.slots_why or f"{plan.slots} workers × {plan.threads} threads"
    lines = [
        Text(f"The {target.total} {target.tier} labels: {split}."),
        Text(f"Costs: {_sources(plan)}. Nine labels in ten lie within the factor ×/÷.", "dim"),
        Text(f"Here: {here}.", "dim"),
    ]
    if plan.forecast is not None:
        lines.append(Text(f"Errors: force MAE, {UNIT}, forecast before any training.", "dim"))
    lines += [Text(warning, style="yellow") for warning in plan.warnings]
    lines += [Text(_too_large(quote), style="bold red") for quote in plan.tiers if not quote.fits]
    return Group(*lines)


def _sources(plan: Plan) -> str:
    """`ccsd, dft: measured here (2 labels); xtb: general model`."""
    by_source: dict[str, list[str]] = {}
    for quote in reversed(plan.tiers):
        old = "measured here" if quote.measured else "general model"
        by_source.setdefault(quote.source or old, []).append(quote.tier.value)
    return "; ".join(f"{', '.join(tiers)} {source}" for source, tiers in by_source.items())


def _too_large(quote: TierQuote) -> str:
    return (
        f"A {quote.method} label needs about {gigabytes(quote.memory_bytes)}, more than a node "
        "here has for labels. Join a larger one with --ray-address, or choose another method."
    )
