"""Plots of a benchmark as PNG: parity, error against training time, learning curves.

Units: kcal/mol/Å, seconds. Means over seeds; bars are standard deviations over seeds.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from forgefield.platform.benchmarking.kinds import CurveKind, Kind
from forgefield.platform.benchmarking.paper import RATIO
from forgefield.platform.benchmarking.publishing.axes import (
    COLOURS,
    MARKERS,
    blank,
    line,
    logarithmic,
)
from forgefield.platform.benchmarking.publishing.time_plot import against_time
from forgefield.platform.benchmarking.results import Results, Row
from forgefield.platform.benchmarking.scoring import labels_name
from forgefield.platform.drawing.figures import INK, SOFT, drawing
from forgefield.platform.screen.wording import UNIT
from forgefield.storage.records import Array
from forgefield.storage.units import KCAL_PER_MOL_PER_EV

PANELS = (
    Kind.STANDARD,
    Kind.UNWEIGHTED,
    Kind.COMMITTEE,
    Kind.FULL,
    CurveKind.TUNED,
    Kind.DELTA,
    Kind.SGDML,
)
MOST_PANELS = 4
DOTS = 150


def draw_plots(results: Results, folder: Path) -> list[Path]:
    """All plots of a benchmark into its folder; returns their paths."""
    kinds: dict[str, Callable[[Results, Path], Figure]] = {"parity.png": parity}
    kinds |= {"curve.png": curve} if results.kind == "curve" else {"time.png": against_time}
    paths = []
    with drawing():
        for name, draw in kinds.items():
            figure = draw(results, folder)
            figure.savefig(folder / name, dpi=DOTS, facecolor="white")
            paths.append(folder / name)
    return paths


def parity(results: Results, folder: Path) -> Figure:
    """Predicted against reference force components, and their differences below, of one seed."""
    rows = _panels(results)
    draw = rows[0].seed if len(results.draws) > 1 else 0
    labels_K = _forces(folder / "predictions" / f"{labels_name(draw)}.npz")
    figure = blank(2.6 * max(2, len(rows)) + 0.6, 4.6)
    grid = figure.subplots(2, len(rows), sharex=True, squeeze=False, height_ratios=(3, 2))
    differences = [_forces(folder / row.score.predictions) - labels_K for row in rows]
    reach = max(float(np.quantile(np.abs(each), 0.999)) for each in differences) * 1.15
    ends = float(np.abs(labels_K).max()) * 1.05
    for row, difference_K, upper, lower in zip(rows, differences, *grid, strict=True):
        colour = COLOURS.get(row.row, INK)
        upper.plot([-ends, ends], [-ends, ends], color=SOFT, lw=0.8)
        upper.plot(labels_K, labels_K + difference_K, ".", ms=1.5, alpha=0.35, mew=0, color=colour)
        lower.axhline(0, color=SOFT, lw=0.8)
        lower.plot(labels_K, difference_K, ".", ms=1.5, alpha=0.35, mew=0, color=colour)
        upper.set(title=row.row, xlim=(-ends, ends), ylim=(-ends, ends))
        lower.set(ylim=(-reach, reach), xlabel=f"reference, {UNIT}")
        words = f"MAE {row.score.force_mae:.3f}\nRMSE {row.score.force_rmse:.3f}"
        upper.text(0.05, 0.95, words, va="top", transform=upper.transAxes)
        for axes in (upper, lower):
            axes.grid(visible=True)
    grid[0][0].set_ylabel(f"predicted, {UNIT}")
    grid[1][0].set_ylabel(f"difference, {UNIT}")
    figure.suptitle(f"{results.title}: force components of {rows[0].score.frames} test frames")
    return figure


def curve(results: Results, _: Path) -> Figure:
    """Error against the number of accurate labels."""
    figure = blank(6.0, 3.8)
    axes = figure.subplots()
    efforts = sorted({row.effort for row in results.rows})
    for kind, effort in dict.fromkeys((row.row, row.effort) for row in results.rows):
        own = [row for row in results.rows if (row.row, row.effort) == (kind, effort)]
        marker = MARKERS[efforts.index(effort) % len(MARKERS)]
        label = kind if len(efforts) == 1 else f"{kind}, effort {effort:g}"
        line(axes, own, lambda row: row.accurate, lambda row: row.accurate, kind, marker, label)
    logarithmic(axes, "accurate labels trained on")
    sizes = sorted({row.accurate for row in results.rows})
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set_xticks([], minor=True)
    axes.set_title(f"{results.title}: learning curves")
    axes.legend()
    return figure


def _panels(results: Results) -> list[Row]:
    """One row a kind: of the first seed and draw, the longest training, the most accurate labels.

    Where the paper's cost ratio is among the rows it is taken.
    """
    first = [row for row in results.rows if row.seed == results.rows[0].seed]

    def rank(row: Row) -> tuple[float, bool, int]:
        return row.effort, row.ratio == RATIO, row.accurate

    best: dict[str, Row] = {}
    for row in sorted(first, key=rank):
        best[row.row] = row
    order = [best[kind] for kind in PANELS if kind in best] or list(best.values())
    return order if len(order) <= MOST_PANELS else [order[0], *order[-(MOST_PANELS - 1) :]]


def _forces(path: Path) -> Array:
    with np.load(path) as arrays:
        return np.asarray(arrays["forces"], dtype=np.float64).ravel() * KCAL_PER_MOL_PER_EV
