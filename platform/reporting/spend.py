"""The section about money: what was spent, by tier and over time."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from forgefield.platform.drawing.figures import (
    COLOURS,
    FAILED,
    PAPER,
    SOFT,
    Picture,
    beside,
    blank,
    picture,
)
from forgefield.platform.reporting.facts import Facts
from forgefield.platform.reporting.parts import (
    Section,
    core_hours,
    money,
)
from forgefield.platform.reporting.spend_over_time import over_time_picture
from forgefield.storage.ledger.entries import TierTally
from forgefield.storage.records import Tier
from forgefield.storage.units import CORE_SECONDS_PER_CORE_HOUR, from_micro

MOST_BESIDE = 0.65
"""Share of the budget up to which words fit beside a bar; those of a longer one stand on it."""


def spend_section(facts: Facts) -> Section:
    """Where the money went, by tier and over time."""
    spent, cap = from_micro(facts.balance.spent_micro), from_micro(facts.balance.cap_micro)
    if not spent:
        return Section("spend", "Spend", missing="Nothing has been spent yet.")
    wasted = sum(from_micro(row.spent_on_failures_micro) for row in facts.tally)
    lead = (
        f"{money(facts, spent)} of {money(facts, cap)} spent ({core_hours(spent)}); "
        f"{money(facts, wasted) if wasted else 'nothing'} of it went to failed attempts."
    )
    if facts.plan is not None and facts.unit in set(Tier):
        method = facts.plan.tier(Tier(facts.unit)).method
        one = core_hours(facts.unit_core_seconds)
        lead += f" One {facts.unit} is what a {method} label costs, {one}."
    pictures = [_by_tier(facts)]
    over_time = over_time_picture(facts)
    if over_time is not None:
        pictures.append(over_time)
    return Section("spend", "Spend", lead, tuple(pictures))


def _by_tier(facts: Facts) -> Picture:
    """One bar for the whole budget, then one a tier, in the budget's unit and core-hours."""
    figure = blank(2.9)
    axes = figure.subplots()
    unit = facts.unit_core_seconds
    cap, start = from_micro(facts.balance.cap_micro) / unit, 0.0
    axes.barh(0, cap, height=0.62, facecolor="none", edgecolor=SOFT, linewidth=0.7)
    said = []
    for place, tier in enumerate(Tier, start=1):
        good, bad = _spent(facts.tally, tier)
        _bar(axes, 0, start, good / unit, bad / unit, tier)
        _bar(axes, place, 0.0, good / unit, bad / unit, tier)
        start += (good + bad) / unit
        text = f"{money(facts, good + bad)}  ·  {core_hours(good + bad)}"
        text += f"  ·  {money(facts, bad)} on failures" if bad else ""
        end = (good + bad) / unit
        beside(axes, text, end if end < MOST_BESIDE * cap else 0.0, place)
        said.append(f"{tier} {money(facts, good + bad)}")
    _dress_tiers(axes, facts, cap)
    alt = f"Bars of spend by tier: {', '.join(said)}; cap {money(facts, cap * unit)}."
    caption = "The outlined bar is the whole budget; below it each tier on its own. "
    caption += "Hatched parts paid for failed attempts; what is empty is left."
    return picture(figure, "spend-by-tier", alt, caption)


def _bar(axes: Axes, row: int, start: float, good: float, bad: float, tier: Tier) -> None:
    colour = COLOURS[tier.value]
    axes.barh(row, good, left=start, height=0.62, color=colour, linewidth=0)
    if bad:
        axes.barh(
            row, bad, left=start + good, height=0.62, color=FAILED, hatch="////", edgecolor=PAPER
        )


def _dress_tiers(axes: Axes, facts: Facts, cap: float) -> None:
    axes.set_yticks(range(len(Tier) + 1), ["budget", *(tier.value for tier in Tier)])
    axes.invert_yaxis()
    axes.set_xlim(0, max(cap, 1e-12) * 1.02)
    axes.set_xlabel("dollars" if facts.unit == "$" else f"spent, {facts.unit}")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    if facts.unit not in {"cpuh", "core-h"}:
        per_hour = CORE_SECONDS_PER_CORE_HOUR / facts.unit_core_seconds
        top = axes.twiny()
        top.set_xlim(0, axes.get_xlim()[1] / per_hour)
        top.set_xlabel("core-hours")
        top.spines["top"].set_visible(True)
        top.spines[["left", "bottom"]].set_visible(False)


def _spent(tally: Sequence[TierTally], tier: Tier) -> tuple[float, float]:
    """Core-seconds for labels and for failures of a tier."""
    rows = [row for row in tally if row.tier == tier]
    bad = sum(row.spent_on_failures_micro for row in rows)
    return from_micro(sum(row.spent_micro for row in rows) - bad), from_micro(bad)
