"""Plots of a benchmark as PNG: parity, error against training time, learning curves.

Units: kcal/mol/Å, seconds. Means over seeds; bars are standard deviations over seeds.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from forgefield.platform.benchmarking.paper import RATIO, paper_value
from forgefield.platform.benchmarking.results import Results, Row, spread
from forgefield.platform.benchmarking.scoring import LABELS
from forgefield.platform.reporting.figures import INK, SOFT, drawing, plain_numbers
from forgefield.platform.screen.wording import three_digits
from forgefield.storage.records import Array
from forgefield.storage.units import KCAL_PER_MOL_PER_EV

COLOURS = {
    "standard": "#d55e00",
    "without fine-tuning": "#8c959d",
    "without weights": "#56b4e9",
    "ASTEROID": "#0072b2",
    "fine-tuned": "#0072b2",
    "score matching": "#e69f00",
    "Δ-learning": "#009e73",
    "sGDML": "#cc79a7",
}
MARKERS = "osD^v"
PANELS = ("standard", "sGDML", "without weights", "ASTEROID", "Δ-learning", "fine-tuned")
MOST_PANELS = 3
DOTS = 150
UNIT = "kcal/mol/Å"


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
    labels_K = _forces(folder / "predictions" / f"{LABELS}.npz")
    figure = _blank(2.6 * max(2, len(rows)) + 0.6, 4.6)
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
    grid[1][0].set_ylabel("difference")
    figure.suptitle(f"{results.title}: force components of {rows[0].score.frames} test frames")
    return figure


def against_time(results: Results, _: Path) -> Figure:
    """Error against the time of the stages behind it; efforts of one row are joined."""
    figure = _blank(7.4, 4.2)
    axes = figure.subplots()
    ratios = sorted({row.ratio for row in results.rows if row.ratio is not None})
    for kind, ratio in dict.fromkeys((row.row, row.ratio) for row in results.rows):
        own = [row for row in results.rows if (row.row, row.ratio) == (kind, ratio)]
        marker = "*" if ratio is None else MARKERS[ratios.index(ratio) % len(MARKERS)]
        _line(axes, own, lambda row: row.effort, lambda row: row.seconds, kind, marker)
        for row in [row for row in own if row.seed == own[0].seed and row.history]:
            seconds, errors = np.array(row.history).T
            axes.plot(seconds, errors, lw=0.8, alpha=0.45, color=COLOURS.get(kind, INK), zorder=1)
    known = paper_value(results.name, results.budget, results.model, "ASTEROID")
    if known:
        axes.axhline(known[0], color=SOFT, lw=0.9, ls=":")
        words = f"ASTEROID in the paper ({known[1]}, {RATIO:g}:1)"
        axes.text(0.01, known[0], words, color=SOFT, fontsize=8, va="bottom",
                  transform=axes.get_yaxis_transform())  # fmt: skip
    _logarithmic(axes, "training time, s")
    axes.set_title(f"{results.title}: error against training time")
    kinds = list(dict.fromkeys(row.row for row in results.rows))
    keys = [axes.plot([], [], "o", color=COLOURS.get(kind, INK), label=kind)[0] for kind in kinds]
    for place, ratio in enumerate(ratios):
        marker = MARKERS[place % len(MARKERS)]
        keys += axes.plot([], [], marker, color=SOFT, mfc="none", label=f"{ratio:g}:1")
    keys += axes.plot([], [], color=SOFT, lw=0.8, label="validation, one seed")
    axes.legend(handles=keys, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


def curve(results: Results, _: Path) -> Figure:
    """Error against the number of accurate labels."""
    figure = _blank(6.0, 3.8)
    axes = figure.subplots()
    efforts = sorted({row.effort for row in results.rows})
    for kind, effort in dict.fromkeys((row.row, row.effort) for row in results.rows):
        own = [row for row in results.rows if (row.row, row.effort) == (kind, effort)]
        marker = MARKERS[efforts.index(effort) % len(MARKERS)]
        label = kind if len(efforts) == 1 else f"{kind}, effort {effort:g}"
        _line(axes, own, lambda row: row.accurate, lambda row: row.accurate, kind, marker, label)
    _logarithmic(axes, "accurate labels trained on")
    sizes = sorted({row.accurate for row in results.rows})
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.set_xticks([], minor=True)
    axes.set_title(f"{results.title}: learning curves")
    axes.legend()
    return figure


def _line(
    axes: Axes,
    rows: Sequence[Row],
    group: Callable[[Row], float],
    along: Callable[[Row], float],
    kind: str,
    marker: str,
    label: str = "",
) -> None:
    groups = [[row for row in rows if group(row) == key] for key in sorted(set(map(group, rows)))]
    points = [
        (spread([along(row) for row in each])[0], *spread([row.score.force_mae for row in each]))
        for each in groups
    ]
    x, y, bars = np.array(points).T
    size = 9 if marker == "*" else 5.5
    axes.errorbar(
        x, y, np.nan_to_num(bars), fmt=f"-{marker}", ms=size, color=COLOURS.get(kind, INK),
        elinewidth=1, capsize=2.5, label=label or None,
    )  # fmt: skip


def _logarithmic(axes: Axes, words: str) -> None:
    axes.set(xscale="log", yscale="log", xlabel=words, ylabel=f"force MAE on test frames, {UNIT}")
    axes.margins(0.08, 0.12)
    plain_numbers(axes)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: three_digits(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(visible=True)


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


def _blank(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure
