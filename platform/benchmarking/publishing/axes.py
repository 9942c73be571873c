"""What the plots of a benchmark share: colours of rows, lines with bars, logarithmic axes.

Units: kcal/mol/Å. Means over seeds; bars are standard deviations over seeds.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from forgefield.platform.benchmarking.kinds import CurveKind, Kind
from forgefield.platform.benchmarking.results import Row, spread
from forgefield.platform.drawing.figures import INK, plain_numbers
from forgefield.platform.screen.wording import UNIT, three_digits

COLOURS: Mapping[str, str] = {
    Kind.STANDARD: "#d55e00",
    Kind.UNTUNED: "#8c959d",
    Kind.UNWEIGHTED: "#56b4e9",
    Kind.COMMITTEE: "#7a5195",
    Kind.FULL: "#0072b2",
    CurveKind.TUNED: "#0072b2",
    Kind.SCORES: "#e69f00",
    Kind.DELTA: "#009e73",
    Kind.SGDML: "#cc79a7",
}
MARKERS = "osD^v"


def blank(width: float, height: float) -> Figure:
    """A figure of this many inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def line(
    axes: Axes,
    rows: Sequence[Row],
    group: Callable[[Row], float],
    along: Callable[[Row], float],
    kind: str,
    marker: str,
    label: str = "",
) -> None:
    """Mean errors of groups of rows, joined in the order of the groups."""
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


def logarithmic(axes: Axes, words: str) -> None:
    """Both axes with plain numbers; `words` are of the lower one."""
    axes.set(xscale="log", yscale="log", xlabel=words, ylabel=f"force MAE on test frames, {UNIT}")
    axes.margins(0.08, 0.12)
    plain_numbers(axes)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: three_digits(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(visible=True)
