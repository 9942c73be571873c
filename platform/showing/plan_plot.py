"""The expected error against the budget: band, median, the plan's point and its alternatives."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from forgefield.platform.drawing.figures import (
    BASELINE,
    FORCE_FIELD,
    INK,
    PAPER,
    SOFT,
    STYLE,
)
from forgefield.platform.planning.expectations import as_document
from forgefield.platform.planning.outlook import Outlook
from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.quote_parts import ErrorForecast
from forgefield.platform.screen.wording import UNIT, amount, three_digits
from forgefield.storage.errors import BudgetTooSmall, InputError

FORMATS = (".png", ".svg", ".pdf")
DOTS_PER_INCH = 160
POINTS = 40
SMALLEST, LARGEST = 1 / 8, 16.0
"""Of the plan's budget: where the curve begins and ends, unless a target lies beyond."""


def refuse_plot_name(path: Path) -> None:
    """Raise `InputError` unless a plot can be written as such a file."""
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"A plot is one of {', '.join(FORMATS)}; {str(path)!r} is not.")


def draw_plan(plan: Plan, path: Path) -> None:
    """Write the plot; raises `InputError` where that is not allowed."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.4, 4.4), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        _band(axes, plan)
        _points(axes, plan)
        _target(axes, plan)
        _frame(axes, plan)
        try:
            figure.savefig(path, dpi=DOTS_PER_INCH, facecolor=PAPER)
        except OSError as error:
            raise InputError(
                f"Can't write {path}: {error.strerror}. Choose another place."
            ) from error


def error_curve(plan: Plan) -> list[tuple[float, ErrorForecast]]:
    """(core-seconds, forecast) from the least budget of a campaign to the largest that is drawn."""
    costs = {quote.tier: quote.core_seconds for quote in plan.tiers}
    atoms = len(plan.molecule.numbers)
    outlook = Outlook.before_any_training(atoms, costs, plan.recipe, plan.imported)
    wanted = plan.target.core_seconds if plan.target else None
    ends = SMALLEST * plan.cap, LARGEST * max(plan.cap, (wanted or 0.0) / 10)
    curve = []
    for core_seconds in np.geomspace(*ends, POINTS).tolist():
        try:
            found = as_document(outlook, outlook.split(core_seconds), core_seconds)
        except BudgetTooSmall:
            continue
        curve.append((core_seconds, found))
    return curve


def _band(axes: Axes, plan: Plan) -> None:
    curve = error_curve(plan)
    budgets = [plan.in_budget_units(core_seconds) for core_seconds, _ in curve]
    low, median, high = (
        [getattr(error, name) for _, error in curve] for name in ("low", "median", "high")
    )
    axes.fill_between(
        budgets, low, high, color=FORCE_FIELD, alpha=0.16, lw=0, label="8 of 10 cases"
    )
    axes.plot(budgets, median, color=FORCE_FIELD, label="median")


def _points(axes: Axes, plan: Plan) -> None:
    rows = [(other.core_seconds, other.error, other.budget) for other in plan.alternatives]
    for core_seconds, error, budget in rows:
        x = plan.in_budget_units(core_seconds)
        axes.plot(x, error.median, "o", ms=6, mfc=PAPER, mec=FORCE_FIELD, mew=1.4, zorder=3)
        _name(axes, x, error.median, f"{budget}\n{three_digits(error.median)}", SOFT)
    if plan.forecast is not None:
        x, y = plan.in_budget_units(plan.cap), plan.forecast.median
        axes.plot(x, y, "o", ms=8, color=INK, zorder=4, label="this plan")
        _name(axes, x, y, f"{plan.budget}\n{three_digits(y)}", INK)


def _name(axes: Axes, x: float, y: float, words: str, colour: str) -> None:
    axes.annotate(
        words,
        (x, y),
        (6, 6),
        textcoords="offset points",
        color=colour,
        fontsize=8,
        va="bottom",
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.6, "alpha": 0.75},
    )


def _target(axes: Axes, plan: Plan) -> None:
    target = plan.target
    if target is None:
        return
    words = f"target {target.asked:g}"
    words += f": {target.budget}" if target.budget else ": no budget reaches it"
    axes.axhline(target.asked, color=BASELINE, lw=1, ls="--", label=words)
    if target.core_seconds is not None:
        x = plan.in_budget_units(target.core_seconds)
        axes.plot(x, target.asked, "D", ms=6, color=BASELINE, zorder=4)


def _frame(axes: Axes, plan: Plan) -> None:
    plain = FuncFormatter(lambda value, _: three_digits(value))
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(plain)
        axis.set_minor_formatter(NullFormatter())
    hours = three_digits(plan.cap / 3600)
    unit = amount(1, plan.budget).lstrip("1") or "$"
    axes.set_xlabel(f"budget, {unit} ({plan.budget} = {hours} core-hours)")
    axes.set_ylabel(f"force MAE, {UNIT}")
    axes.set_title(f"{plan.molecule.name}: expected error against budget, before any training")
    axes.grid(visible=True)
    axes.legend(loc="lower left")
