"""How figures of the report look, and how matplotlib's become SVG inside the page.

Colours are Okabe and Ito's, which all kinds of sight tell apart. In the page each becomes a CSS
variable, so that one drawing serves light, dark and paper. Text stays text. The same data gives
the same bytes: ids are hashed with a fixed salt and no date is written.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from forgefield.platform.screen.wording import three_digits

WIDTH = 7.4
"""Inches; figures fill the column."""
COLOURS = {
    "ink": "#1d2329",
    "soft": "#5a646e",
    "line": "#d5dade",
    "paper": "#fdfdfc",
    "force-field": "#0072b2",
    "baseline": "#d55e00",
    "empirical": "#8c959d",
    "xtb": "#56b4e9",
    "dft": "#009e73",
    "ccsd": "#cc79a7",
    "failed": "#e69f00",
}
INK, SOFT, LINE, PAPER = (COLOURS[name] for name in ("ink", "soft", "line", "paper"))
FORCE_FIELD, BASELINE, FAILED = (COLOURS[n] for n in ("force-field", "baseline", "failed"))
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "forgefield",
    "font.family": "sans-serif",
    "font.size": 9.0,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 9.0,
    "axes.labelpad": 6.0,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "hatch.linewidth": 0.8,
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing for the page: `svg` with its alternative text inside, and a caption.

    `width` is `full` or `small`.
    """

    svg: Markup
    caption: str
    width: str = "full"


def beside(axes: Axes, text: str, end: float, row: float) -> None:
    """Words behind the end of a horizontal bar."""
    axes.annotate(
        text,
        (end, row),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        color=SOFT,
        fontsize=8.5,
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.0},
    )


@contextmanager
def drawing() -> Iterator[None]:
    """Matplotlib's settings for the report, put back afterwards."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def blank(height: float) -> Figure:
    """An empty figure as wide as the column, `height` inches high."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasSVG(figure)
    return figure


def picture(figure: Figure, name: str, alt: str, caption: str) -> Picture:
    """The figure as inline SVG; `name` keeps its ids apart from those of other figures."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return Picture(inline(text.getvalue(), name, alt), caption)


def inline(svg: str, name: str, alt: str) -> Markup:
    """An SVG document as an element of the page: own ids, themed colours, alternative text."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->\s*", "", body, flags=re.DOTALL)
    body = re.sub(r"\bid=(['\"])", rf"id=\g<1>{name}-", body)
    body = re.sub(r"(href=['\"]|url\()#", rf"\g<1>#{name}-", body)
    for colour, value in COLOURS.items():
        body = re.sub(value, f"var(--{colour})", body, flags=re.IGNORECASE)
    box = re.search(r"viewBox=(['\"])(.*?)\1", body)
    content = body[body.index(">") + 1 :]
    described = f'<title id="{name}-alt">{escape(alt)}</title>'
    opening = f'<svg role="img" aria-labelledby="{name}-alt" viewBox="{box[2] if box else ""}">'
    return Markup(opening + described + content)  # noqa: S704


def drawn(svg: str, name: str, alt: str) -> Markup:
    """A drawing in black on nothing, such as a structural formula, in the colour of text."""
    return inline(svg.replace("#000000", INK), name, alt)


def plain_numbers(axes: Axes) -> None:
    """Logarithmic ticks on y, more of them the shorter it is, as numbers rather than powers."""
    axis, (low, high) = axes.yaxis, axes.get_ylim()
    subs = (1.0, 2.0, 5.0) if high / low > 8 else (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: three_digits(value)))
    axis.set_minor_formatter(NullFormatter())
    axis.set_tick_params(which="minor", size=0)
