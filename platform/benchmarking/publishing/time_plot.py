"""Error against training time, beside the paper's figure where that is near.

Units: kcal/mol/Å, seconds. Markers are of test frames, lines of validation frames.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from forgefield.platform.benchmarking.kinds import Kind
from forgefield.platform.benchmarking.paper import RATIO, paper_value
from forgefield.platform.benchmarking.publishing.axes import (
    COLOURS,
    MARKERS,
    blank,
    line,
    logarithmic,
)
from forgefield.platform.benchmarking.publishing.tables import efforts_of
from forgefield.platform.benchmarking.results import Results
from forgefield.platform.drawing.figures import INK, SOFT
from forgefield.platform.screen.wording import UNIT

FARTHEST = 3.0
"""Times beyond all errors that the paper's figure may lie and still be drawn."""


def against_time(results: Results, _: Path) -> Figure:
    """Error against the time of the stages behind it; efforts of one row are joined."""
    figure = blank(7.4, 4.2)
    axes = figure.subplots()
    ratios = sorted({row.ratio for row in results.rows if row.ratio is not None})
    for kind, ratio in dict.fromkeys((row.row, row.ratio) for row in results.rows):
        own = [row for row in results.rows if (row.row, row.ratio) == (kind, ratio)]
        marker = "*" if ratio is None else MARKERS[ratios.index(ratio) % len(MARKERS)]
        line(axes, own, lambda row: row.effort, lambda row: row.seconds, kind, marker)
        for row in [row for row in own if row.seed == own[0].seed and row.history]:
            seconds, errors = np.array(row.history).T
            axes.plot(seconds, errors, lw=0.8, alpha=0.45, color=COLOURS.get(kind, INK), zorder=1)
    logarithmic(axes, "training time, s")
    axes.set_ylabel(f"force MAE, {UNIT}")
    axes.set_title(f"{results.title}{_effort(results)}: error against training time")
    keys = [*_keys(axes, results, ratios), *_paper_figure(axes, results)]
    axes.legend(handles=keys, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def _paper_figure(axes: Axes, results: Results) -> list[Line2D]:
    """The paper's figure as a line, or in words alone where it lies far from all that is drawn."""
    known = paper_value(results.name, results.budget, results.model, Kind.FULL)
    if not known:
        return []
    words = f"ASTEROID in the paper\n({known[1]}, {RATIO:g}:1): {known[0]:g}"
    errors = [row.score.force_mae for row in results.rows]
    if not min(errors) / FARTHEST < known[0] < max(errors) * FARTHEST:
        side = "below" if known[0] < min(errors) else "above"
        return axes.plot([], [], " ", label=f"{words},\n{side} this plot")
    axes.axhline(known[0], color=SOFT, lw=0.9, ls=":")
    return axes.plot([], [], color=SOFT, lw=0.9, ls=":", label=words)


def _keys(axes: Axes, results: Results, ratios: Sequence[float]) -> list[Line2D]:
    """What the legend shows: rows by colour, ratios by marker, and what is of which frames."""
    kinds = list(dict.fromkeys(row.row for row in results.rows))
    keys = [axes.plot([], [], "o", color=COLOURS.get(kind, INK), label=kind)[0] for kind in kinds]
    for place, ratio in enumerate(ratios if len(ratios) > 1 else []):
        marker = MARKERS[place % len(MARKERS)]
        keys += axes.plot([], [], marker, color=SOFT, mfc="none", label=f"{ratio:g}:1")
    if ratios and any(row.ratio is None for row in results.rows):
        keys += axes.plot([], [], "*", color=SOFT, mfc="none", label="no cheap labels")
    keys += axes.plot([], [], "o", color=SOFT, label="markers: test frames")
    if any(row.history for row in results.rows):
        words = "lines: validation frames,\none seed while it trains"
        keys += axes.plot([], [], color=SOFT, lw=0.8, label=words)
    return keys


def _effort(results: Results) -> str:
    efforts = efforts_of(results)
    return "" if efforts == [1.0] else f", effort {', '.join(f'{each:g}' for each in efforts)}"
