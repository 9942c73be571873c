"""The sections about errors on the hold-out: parity of forces, and errors by kind of atom.

Forces in kcal/mol/Å, errors over components, as everywhere people see them.
"""

from collections.abc import Sequence

import numpy as np

from forgefield.labelers.depiction import AtomKinds, kinds_of, structure
from forgefield.platform.drawing.curves import MOST_DOTS, scatter
from forgefield.platform.drawing.figures import (
    BASELINE,
    FORCE_FIELD,
    Picture,
    beside,
    blank,
    drawn,
    picture,
)
from forgefield.platform.planning.plan import Plan
from forgefield.platform.reporting.facts import Facts
from forgefield.platform.reporting.parts import Section, Table, count, listed
from forgefield.platform.reporting.predictions import HoldOut
from forgefield.platform.screen.wording import UNIT, digits
from forgefield.storage.records import Array
from forgefield.storage.units import KCAL_PER_MOL_PER_EV

MOST_ROWS = 8
"""Kinds of atoms above which bars are enough and a table is left out."""
COLOUR = {"force field": FORCE_FIELD, "standard training": BASELINE}
NOT_TRAINED = "There is no trained force field yet."


def parity_section(held: HoldOut | None) -> Section:
    """Predicted against reference forces on the hold-out."""
    if held is None:
        return Section("parity", "Forces on the hold-out", missing=NOT_TRAINED)
    reference = held.frames.forces_A3.ravel() * KCAL_PER_MOL_PER_EV
    figure = blank(4.1)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    predictions = {name: f.ravel() * KCAL_PER_MOL_PER_EV for name, f in held.both.items()}
    edge = 1.05 * max(np.abs(reference).max(), *(np.abs(p).max() for p in predictions.values()))
    said = []
    for axes, (name, predicted) in zip(panels, predictions.items(), strict=True):
        scatter(axes, reference, predicted, COLOUR[name], float(edge))
        mae, rmse = mean_and_root(predicted - reference)
        axes.set_title(name, color=COLOUR[name], fontweight="bold")
        axes.set_xlabel(f"reference, {UNIT}")
        axes.text(
            0.04,
            0.96,
            f"MAE {digits(mae)}\nRMSE {digits(rmse)}",
            transform=axes.transAxes,
            va="top",
        )
        said.append(f"{name}: MAE {digits(mae)}, RMSE {digits(rmse)} {UNIT}")
    panels[0].set_ylabel(f"predicted, {UNIT}")
    lead = f"{count(len(held.frames), 'frame')}, {count(len(reference), 'force component')}. "
    lead += "On the diagonal a prediction is exact; errors are in kcal/mol/Å."
    alt = f"Predicted against reference forces. {'; '.join(said)}."
    dense = "The stronger the colour, the more points." if len(reference) > MOST_DOTS else ""
    shown = picture(figure, "parity", alt, dense)
    return Section("parity", "Forces on the hold-out", lead, (shown,))


def mean_and_root(gap: Array) -> tuple[float, float]:
    """Mean absolute and root mean square of errors."""
    return float(np.abs(gap).mean()), float(np.sqrt((gap**2).mean()))


def atoms_section(facts: Facts, held: HoldOut | None) -> Section:
    """Force error of each kind of atom, as bars and in numbers."""
    if held is None or facts.plan is None:
        return Section("atoms", "Error per atom type", missing=NOT_TRAINED)
    kinds = kinds_of(facts.plan.molecule.to_record())
    repeats, rest = divmod(len(held.frames.numbers), len(kinds.kind_A))
    if rest:
        return Section("atoms", "Error per atom type", missing="The hold-out mixes molecules.")
    found = {name: errors_by_kind(held, forces, kinds) for name, forces in held.both.items()}
    members = [int((kinds.kind_A == k).sum()) for k in range(len(kinds.names))]
    rows = tuple(
        (
            name,
            str(members[k]),
            digits(_typical(held, kinds, k, repeats)),
            digits(found["force field"][k]),
            digits(found["standard training"][k]),
        )
        for k, name in enumerate(kinds.names)
    )
    worst = kinds.names[int(np.argmax(found["force field"]))]
    lead = f"Force MAE of each kind of atom that symmetry tells apart; {worst} is the hardest."
    head = ("atom", "in the molecule", "mean |f|", "force field", "standard training")
    table = Table(head, rows, note=f"Forces and errors in {UNIT}, over components.")
    pictures = (*_numbered(facts.plan, kinds), _bars(found, kinds.names))
    tables = (table,) if len(kinds.names) <= MOST_ROWS else ()
    return Section("atoms", "Error per atom type", lead, pictures, tables)


def _numbered(plan: Plan, kinds: AtomKinds) -> list[Picture]:
    """The molecule with its atoms' numbers, where names have any."""
    if not any(name[-1].isdigit() for name in kinds.names):
        return []
    svg = structure(plan.molecule.to_record(), numbered=True)
    alt = f"Structural formula of {plan.molecule.name} with numbered atoms"
    return [] if svg is None else [Picture(drawn(svg, "numbered", alt), "", "small")]


def errors_by_kind(held: HoldOut, forces_A3: Array, kinds: AtomKinds) -> list[float]:
    """Force MAE of each kind, kcal/mol/Å."""
    gap_A = np.abs(forces_A3 - held.frames.forces_A3).mean(axis=1) * KCAL_PER_MOL_PER_EV
    kind_A = np.tile(kinds.kind_A, len(gap_A) // len(kinds.kind_A))
    return [float(gap_A[kind_A == k].mean()) for k in range(len(kinds.names))]


def _typical(held: HoldOut, kinds: AtomKinds, kind: int, repeats: int) -> float:
    mask = np.tile(kinds.kind_A, repeats) == kind
    return float(np.abs(held.frames.forces_A3[mask]).mean() * KCAL_PER_MOL_PER_EV)


def _bars(found: dict[str, list[float]], names: Sequence[str]) -> Picture:
    figure = blank(0.9 + 0.42 * len(names))
    axes = figure.subplots()
    most = max(max(values) for values in found.values())
    for shift, (name, values) in zip((-0.19, 0.19), found.items(), strict=True):
        rows = np.arange(len(names)) + shift
        axes.barh(rows, values, height=0.36, color=COLOUR[name], label=name, lw=0)
        for row, value in zip(rows, values, strict=True):
            beside(axes, digits(value), value, row)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set(xlabel=f"force MAE, {UNIT}", xlim=(0, 1.12 * most))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0)
    pairs = zip(names, *found.values(), strict=True)
    said = [f"{n} {digits(a)} against {digits(b)}" for n, a, b in pairs]
    alt = f"Force MAE by atom, force field against standard training: {listed(said)} {UNIT}."
    return picture(figure, "atoms", alt, "")
