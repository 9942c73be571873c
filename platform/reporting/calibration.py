"""How well a committee knows its errors: binned errors against predicted σ, and coverage.

Forces in kcal/mol/Å here; `Reliability` has eV/Å.
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from forgefield.platform.drawing.curves import save_png
from forgefield.platform.drawing.figures import (
    FORCE_FIELD,
    SOFT,
    Picture,
    blank,
    drawing,
    picture,
    plain_numbers,
)
from forgefield.platform.reporting.parts import Section, count, percent
from forgefield.platform.reporting.predictions import HoldOut
from forgefield.platform.screen.wording import UNIT, digits
from forgefield.storage.units import KCAL_PER_MOL_PER_EV
from forgefield.trainers.uncertainty.calibration import Calibration
from forgefield.trainers.uncertainty.reliability import Reliability, SigmaBin, reliability


def trust_section(held: HoldOut | None) -> Section | None:
    """Whether the committee's expected errors are right on the hold-out; None for one network."""
    if held is None or held.sigma_A is None or held.calibration is None:
        return None
    found = reliability(held.force_field, held.sigma_A, held.frames)
    expected = found.sharpness * KCAL_PER_MOL_PER_EV
    lead = (
        "Where its networks disagree, a committee is unsure. Their disagreement was turned into an "
        f"expected error σ of each force component on {_taught(held.calibration)}; here it meets "
        f"the hold-out. Root mean square σ {digits(expected)} {UNIT}; the rank correlation with "
        f"the errors is {digits(found.rank_correlation)}. σ holds for configurations like these, "
        "not for what is far from them, and tends to be a little small: training stopped where "
        "it did best on the very frames that taught σ."
    )
    return Section("trust", "Expected errors", lead, (calibration_picture(found),))


def _taught(known: Calibration) -> str:
    said = count(known.frames, "validation frame")
    return f"{said}, which is too few to be relied on" if known.rough else said


def plot_calibration(path: Path, found: Reliability) -> None:
    """Write the figure as a PNG."""
    with drawing():
        save_png(calibration_figure(found), path)


def calibration_picture(found: Reliability) -> Picture:
    """The figure for the report's page, with its numbers in words."""
    half = found.coverage[found.levels.index(0.5)]
    alt = (
        f"Expected against observed force errors on {count(found.frames, 'frame')}: the interval "
        f"of 50 % holds {percent(half)} of them, miscalibration area "
        f"{digits(found.miscalibration_area)}, rank correlation {digits(found.rank_correlation)}."
    )
    caption = (
        "Left: root mean square error of atoms with like σ; bars are 95 % intervals over frames. "
        "Right: share of errors within the central interval of each level."
    )
    return picture(calibration_figure(found), "calibration", alt, caption)


def calibration_figure(found: Reliability) -> Figure:
    """Two panels; on the diagonals the committee is right about its errors."""
    figure = blank(3.6)
    left, right = figure.subplots(1, 2)
    _errors(left, found)
    _coverage(right, found)
    return figure


def _errors(axes: Axes, found: Reliability) -> None:
    values = [_in_kcal(each) for each in found.bins]
    predicted, observed = [v[0] for v in values], [v[1] for v in values]
    reach = np.array([[v[1] - v[2] for v in values], [v[3] - v[1] for v in values]])
    ends = min(*predicted, *observed) / 1.3, max(*predicted, *observed) * 1.3
    axes.plot(ends, ends, color=SOFT, lw=0.8, zorder=1)
    bars = np.where(np.isfinite(reach), reach, np.nan)
    axes.errorbar(
        predicted, observed, bars, fmt="o-", ms=4, color=FORCE_FIELD, elinewidth=1, capsize=2
    )
    axes.set(xscale="log", yscale="log", xlabel=f"expected σ, {UNIT}", xlim=ends)
    axes.set_ylabel(f"RMS error, {UNIT}")
    plain_numbers(axes)
    axes.set_xticks([], minor=True)
    ticks = np.geomspace(min(predicted), max(predicted), 4) if len(predicted) > 1 else predicted
    axes.set_xticks(ticks, [digits(float(tick)) for tick in ticks])
    axes.set_title("errors by expected error")
    axes.grid(visible=True)


def _coverage(axes: Axes, found: Reliability) -> None:
    levels = [0.0, *(100 * level for level in found.levels), 100.0]
    covered = [0.0, *(100 * share for share in found.coverage), 100.0]
    axes.plot([0, 100], [0, 100], color=SOFT, lw=0.8, zorder=1)
    axes.fill_between(levels, levels, covered, color=FORCE_FIELD, alpha=0.2, lw=0)
    axes.plot(levels, covered, color=FORCE_FIELD)
    axes.set(xlim=(0, 100), ylim=(0, 100), aspect="equal", ylabel="errors within, %")
    axes.set_xlabel("level, %")
    axes.set_title(f"coverage; area {digits(found.miscalibration_area)}")
    axes.grid(visible=True)


def _in_kcal(each: SigmaBin) -> tuple[float, float, float, float]:
    values = (each.predicted, each.observed.value, each.observed.low, each.observed.high)
    one, two, three, four = (value * KCAL_PER_MOL_PER_EV for value in values)
    return one, two, three, four
