"""Parity plots and learning curves, for the report, for PNG files and for benchmarks.

Errors and forces in kcal/mol(/Å), as everywhere people see them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm, to_rgba
from matplotlib.figure import Figure

from forgefield.platform.drawing.figures import (
    BASELINE,
    COLOURS,
    FORCE_FIELD,
    PAPER,
    SOFT,
    blank,
    drawing,
    plain_numbers,
)
from forgefield.platform.screen.wording import digits
from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.records import Array
from forgefield.storage.units import KCAL_PER_MOL_PER_EV
from forgefield.trainers.evaluation import Interval

MOST_DOTS = 1500
"""Points above which a parity plot shows density rather than dots."""
CYCLE = (FORCE_FIELD, BASELINE, *(COLOURS[name] for name in ("dft", "ccsd", "failed", "xtb")))
DOTS_PER_INCH = 200


@dataclass(frozen=True, slots=True)
class Curve:
    """Errors (kcal/mol/Å) of one way of training after so many `labels`, in any order."""

    name: str
    labels: Sequence[int]
    errors: Sequence[Interval]


def plot_parity(path: Path, frames: Frames, predicted: Mapping[str, tuple[Array, Array]]) -> None:
    """Write a PNG of predicted energies (F,) eV and forces (A, 3) eV/Å against the labels."""
    with drawing():
        save_png(parity_figure(frames, predicted), path)


def parity_figure(frames: Frames, predicted: Mapping[str, tuple[Array, Array]]) -> Figure:
    """A row a force field: forces, then energies less their mean, each with its errors.

    The mean of the labels is taken from the labels and that of the predictions from the
    predictions, as the centred energy error does.
    """
    figure = blank(3.7 * len(predicted))
    panels = figure.subplots(len(predicted), 2, squeeze=False)
    kcal = KCAL_PER_MOL_PER_EV
    true_F = kcal * (frames.energy_F - frames.energy_F.mean())
    rows = zip(panels, predicted.items(), CYCLE, strict=False)
    for (left, right), (name, (energy_F, forces_A3)), colour in rows:
        own_F = kcal * (energy_F - energy_F.mean())
        parity(left, kcal * frames.forces_A3.ravel(), kcal * forces_A3.ravel(), colour)
        parity(right, true_F, own_F, colour)
        left.set_title(f"{name}, forces", color=colour, fontweight="bold")
        right.set_title("energies less their mean", color=colour)
        for axes, unit in ((left, "kcal/mol/Å"), (right, "kcal/mol")):
            axes.set(xlabel=f"reference, {unit}", ylabel=f"predicted, {unit}")
    return figure


def parity(axes: Axes, reference: Array, predicted: Array, colour: str) -> None:
    """One panel with its own edge, and MAE and RMSE in the corner."""
    edge = 1.05 * max(float(np.abs(reference).max()), float(np.abs(predicted).max())) or 1.0
    scatter(axes, reference, predicted, colour, edge)
    gap = predicted - reference
    mae, rmse = float(np.abs(gap).mean()), float(np.sqrt((gap**2).mean()))
    said = f"MAE {digits(mae)}\nRMSE {digits(rmse)}"
    axes.text(0.04, 0.96, said, transform=axes.transAxes, va="top")


def scatter(axes: Axes, reference: Array, predicted: Array, colour: str, edge: float) -> None:
    """Dots, or density where there are many, around the diagonal from −edge to edge."""
    axes.plot([-edge, edge], [-edge, edge], color=SOFT, lw=0.8, zorder=1)
    if len(reference) > MOST_DOTS:
        light = to_rgba(colour, 0.12)
        shades = LinearSegmentedColormap.from_list("density", [light, to_rgba(colour, 1.0)])
        axes.hexbin(
            reference,
            predicted,
            gridsize=55,
            extent=(-edge, edge, -edge, edge),
            mincnt=1,
            cmap=shades,
            norm=LogNorm(),
            linewidths=0,
            zorder=2,
        )
    else:
        axes.plot(
            reference, predicted, "o", ms=3.4, color=colour, alpha=0.5, mew=0, ls="", zorder=2
        )
    axes.set(xlim=(-edge, edge), ylim=(-edge, edge), aspect="equal")
    axes.grid(visible=True)


def plot_learning(path: Path, curves: Sequence[Curve], *, label: str = "accurate labels") -> None:
    """Write a PNG of force MAE against labels, both logarithmic."""
    with drawing():
        figure = blank(3.6)
        learning(figure.subplots(), curves, label=label)
        save_png(figure, path)


def learning(axes: Axes, curves: Sequence[Curve], *, label: str = "accurate labels") -> None:
    """Lines with their 95 % intervals; ends that aren't known are left open."""
    for place, curve in enumerate(curves):
        order = np.argsort(curve.labels)
        own = [curve.errors[at] for at in order]
        values = [each.value for each in own]
        reach = np.array([[e.value - e.low for e in own], [e.high - e.value for e in own]])
        axes.errorbar(
            [curve.labels[at] for at in order],
            values,
            np.where(np.isfinite(reach), np.clip(reach, 0, None), np.nan),
            fmt="-o",
            ms=5,
            elinewidth=1,
            capsize=3,
            color=CYCLE[place % len(CYCLE)],
            label=curve.name,
        )
    axes.set(xscale="log", yscale="log", xlabel=label, ylabel="force MAE, kcal/mol/Å")
    plain_numbers(axes)
    counts = sorted({count for curve in curves for count in curve.labels})
    axes.set_xticks(counts, [f"{count:,}" for count in counts], minor=False)
    axes.set_xticks([], minor=True)
    axes.grid(visible=True)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0)


def save_png(figure: Figure, path: Path) -> None:
    """Write the figure on paper's colour; `InputError` where the place can't be written."""
    if path.suffix.lower() != ".png":
        raise InputError(f"A plot is a PNG file; call it {path.with_suffix('.png').name}.")
    try:
        figure.savefig(path, format="png", dpi=DOTS_PER_INCH, facecolor=PAPER)
    except OSError as error:
        raise InputError(f"Can't write {path}: {error}. Name another place.") from error
