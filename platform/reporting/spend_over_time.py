"""The figure of spend over time: what each tier was paid, what was reserved, where rounds ended.

Every attempt is charged when it is settled, so the areas add up to the ledger's own balance.
Core-seconds inside, the budget's unit in the figure.
"""

import numpy as np
from matplotlib.axes import Axes

from forgefield.platform.drawing.figures import COLOURS, INK, SOFT, Picture, blank, picture
from forgefield.platform.reporting.facts import Facts
from forgefield.platform.reporting.parts import time_unit
from forgefield.platform.screen.wording import duration
from forgefield.storage.ledger.entries import EntryKind
from forgefield.storage.records import Array, Tier
from forgefield.storage.units import from_micro

MOST_POINTS = 500
ROUND = "round "


def over_time_picture(facts: Facts) -> Picture | None:
    """Spent by tier, and spent + reserved, against time; None for a single moment."""
    at, spent, held, cap = _balances(facts)
    if len(at) < 2 or at[-1] <= at[0]:
        return None
    size, word = time_unit(at[-1] - at[0])
    keep = np.unique(np.linspace(0, len(at) - 1, MOST_POINTS).astype(int))
    time, unit = (at[keep] - at[0]) / size, facts.unit_core_seconds
    figure = blank(3.0)
    axes = figure.subplots()
    top = min(float(cap.max()), max(1.5 * float(cap[-1]), float(held.max()))) / unit
    _areas(axes, facts, time, at[keep], unit)
    low, high = spent[keep] / unit, held[keep] / unit
    axes.fill_between(time, low, high, step="post", color=SOFT, alpha=0.3, lw=0, label="reserved")
    axes.plot(time, low, drawstyle="steps-post", color=INK, lw=1)
    axes.plot(
        time, cap[keep] / unit, drawstyle="steps-post", color=SOFT, lw=1, ls="--", label="cap"
    )
    axes.set(xlim=(0, time[-1]), ylim=(0, top * 1.08), xlabel=f"time since the first label, {word}")
    axes.set_ylabel("dollars" if facts.unit == "$" else facts.unit)
    axes.grid(axis="y")
    marked = _rounds(axes, facts, float(at[0]), size)
    axes.legend(loc="lower left", ncols=6, bbox_to_anchor=(0, 1.08 if marked else 1.0))
    alt = f"Spend over {duration(float(at[-1] - at[0]))}, by tier, never above the cap."
    caption = "Every line of the money log. Grey is reserved for labels in flight."
    if marked:
        caption += " Upright lines: a round had trained and decided."
    return picture(figure, "spend-over-time", alt, caption)


def _areas(axes: Axes, facts: Facts, time: Array, at: Array, unit: float) -> None:
    """What each tier had been paid by these times, the cheapest at the bottom."""
    floor = np.zeros(len(at))
    for tier in Tier:
        height = paid_by(facts, tier, at) / unit
        if height.any():
            axes.fill_between(
                time, floor, floor + height, step="post", color=COLOURS[tier.value], lw=0,
                alpha=0.85, label=tier.value,
            )  # fmt: skip
        floor = floor + height


def paid_by(facts: Facts, tier: Tier, at: Array) -> Array:
    """Core-seconds that labels of a tier had been charged by the times `at`, failures included."""
    own = sorted((paid for paid in facts.payments if paid.tier == tier), key=lambda each: each.at)
    spent = np.cumsum([0.0, *(from_micro(each.used_micro) for each in own)])
    return np.asarray(spent[np.searchsorted([each.at for each in own], at, side="right")])


def _rounds(axes: Axes, facts: Facts, start: float, size: float) -> bool:
    """A line where each round ended; whether there is any."""
    ends = [
        (span.name.removeprefix(ROUND), (span.end - start) / size)
        for span in facts.spans
        if span.name.startswith(ROUND) and span.finished
    ]
    most = axes.get_xlim()[1]
    axes.set_xlim(0, max([most, *(end for _, end in ends)]))
    for name, end in ends:
        axes.axvline(end, color=INK, lw=0.8, ls=":")
        axes.annotate(
            f"{ROUND}{name}", (end, 1), xycoords=("data", "axes fraction"), xytext=(0, 2),
            textcoords="offset points", ha="center", fontsize=8, color=SOFT,
        )  # fmt: skip
    return bool(ends)


def _balances(facts: Facts) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Times from the first reservation on, and spent, spent + reserved and cap, core-seconds."""
    moves = {
        EntryKind.CAP: (0, 0, 1),
        EntryKind.RESERVE: (0, 1, 0),
        EntryKind.LABEL: (1, 0, 0),
        EntryKind.FAILED: (1, 0, 0),
        EntryKind.RELEASE: (0, -1, 0),
        EntryKind.OVERRUN: (0, 0, 0),
        EntryKind.IMPORT: (0, 0, 0),
        EntryKind.WITHDRAW: (0, 0, 0),
    }
    steps = [[from_micro(e.amount_micro) * sign for sign in moves[e.kind]] for e in facts.entries]
    spent, held, cap = np.cumsum(np.array(steps).reshape(-1, 3), axis=0).T
    kinds = [entry.kind for entry in facts.entries]
    first = kinds.index(EntryKind.RESERVE) if EntryKind.RESERVE in kinds else len(kinds)
    at = np.array([entry.at for entry in facts.entries])
    return at[first:], spent[first:], held[first:], cap[first:]
