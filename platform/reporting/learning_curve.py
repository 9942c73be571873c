"""The learning curve of a campaign: every error seen, what was forecast, and how it came out.

Errors in kcal/mol/Å, on logarithmic axes.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from forgefield.platform.drawing.figures import (
    BASELINE,
    FORCE_FIELD,
    INK,
    PAPER,
    SOFT,
    Picture,
    blank,
    picture,
    plain_numbers,
)
from forgefield.platform.evaluating import Errors
from forgefield.platform.forecasting.error_model import Percentiles
from forgefield.platform.forecasting.outcomes import Kind
from forgefield.platform.planning.allocation import MIDDLE, TARGET
from forgefield.platform.planning.plan import Plan
from forgefield.platform.reporting.errors import NOT_TRAINED
from forgefield.platform.reporting.errors_seen import Band, ErrorsSeen
from forgefield.platform.reporting.facts import Facts
from forgefield.platform.reporting.parts import Section, count, money, percent
from forgefield.platform.reporting.round_tables import decisions_table, rounds_table
from forgefield.platform.rounds.deciding import costs_since
from forgefield.platform.screen.wording import UNIT, digits

TITLE = "Learning curve"
COLOUR = {Kind.TUNED: FORCE_FIELD, Kind.SCRATCH: BASELINE, Kind.DELTA: SOFT}
NAME = {Kind.TUNED: "fine-tuned", Kind.SCRATCH: "from scratch", Kind.DELTA: "difference"}
BESIDE = 0.96
"""Place of the forecast beside what came, as a ratio of labels."""
NEAREST = 1.12
"""Ratio of labels below which two ticks would run into each other."""


def curve_section(facts: Facts, seen: ErrorsSeen | None) -> Section:
    """Error against labels over all rounds, with the posterior's band."""
    if facts.plan is None or seen is None:
        return Section("curve", TITLE, missing=NOT_TRAINED)
    tables = (rounds_table(facts), decisions_table(facts)) if facts.rounds else ()
    pictures = (_picture(facts, facts.plan, seen),)
    return Section("curve", TITLE, _lead(facts, facts.plan, seen), pictures, tables)


def _lead(facts: Facts, plan: Plan, seen: ErrorsSeen) -> str:
    said = f"Validation errors after {count(len(facts.rounds), 'round')}"
    if not facts.rounds:
        said = "Validation errors of the one training, on parts of the labels and on all"
    said += "; the bands are what they leave of the error model's prior. "
    found = facts.evaluation
    if found is None:
        band = seen.forecast()
        ends = _ends(band.low, band.median, band.high)
        return f"{said}Forecast for all labels at hand: {ends}. {_gains(facts, plan, seen)}"
    band, error = seen.forecast(found.frames), found.force_field.force_mae
    place = "inside" if band.low <= error <= band.high else "outside"
    return (
        f"{said}The hold-out had no part in it: its error of {digits(error)} {UNIT} at the end is "
        f"{place} the forecast for {count(found.frames, 'such frame')}, "
        f"{_ends(band.low, band.median, band.high)}. {_gains(facts, plan, seen)}"
    )


def _gains(facts: Facts, plan: Plan, seen: ErrorsSeen) -> str:
    """What the price of a target label would bring next, at either tier: alike in a good split."""
    costs = costs_since(plan, facts.tally)
    gains = seen.posterior.gain_per_cost(seen.end, costs)
    said = f"{_share(gains.target * costs.target)} on {TARGET} labels"
    if seen.end.middle:
        said += f" and by {_share(gains.middle * costs.target)} on {MIDDLE} ones"
    return f"For the price of one more {TARGET} label the error should fall by {said}."


def _share(part: float) -> str:
    return f"{digits(100 * part)} %"


def _ends(low: float, median: float, high: float) -> str:
    return f"{digits(median)} ({digits(low)} to {digits(high)} in 8 of 10 cases)"


def _picture(facts: Facts, plan: Plan, seen: ErrorsSeen) -> Picture:
    figure = blank(4.0)
    axes = figure.subplots()
    for kind in (Kind.SCRATCH, Kind.TUNED):
        if any(outcome.kind is kind for outcome in seen.outcomes):
            _band(axes, seen.band(kind))
            _points(axes, seen, kind)
    last, name = seen.forecast(), "forecast of the last training, 80 %"
    _forecast_mark(axes, BESIDE * seen.end.target, last, FORCE_FIELD, name)
    if plan.forecast is not None:
        name = "the plan's forecast, 80 %"
        _forecast_mark(axes, seen.planned.target, plan.forecast, SOFT, name)
    if facts.evaluation is not None:
        _end_mark(axes, seen.end.target, facts.evaluation.baseline, BASELINE, "")
        errors = facts.evaluation.force_field
        _end_mark(axes, seen.end.target, errors, FORCE_FIELD, "hold-out at the end, 95 %")
    _dress(axes, facts, seen)
    tuned = [o for o in seen.outcomes if o.kind is Kind.TUNED]
    said = [f"{digits(o.error)} at {o.counts.target}" for o in tuned]
    alt = f"Validation force MAE of fine-tuned force fields by {TARGET} labels: {', '.join(said)}."
    caption = (
        "Bands hold 8 of 10 cases, lines are medians, for an error measured on many frames; "
        "validation errors of few scatter more. Hollow points were trained on a part of the labels "
        "or without some tiers."
    )
    shorter, members = plan.recipe.rounds.effort, facts.members
    if facts.rounds and shorter < 1:
        caption += f" Rounds train for {percent(shorter)} of the last training's steps."
    if members > 1:
        caption += f" Points are of single networks, the end is the mean of {members}."
    return picture(figure, "curve", alt, caption)


def _band(axes: Axes, band: Band) -> None:
    x = [each.target for each in band.counts]
    low, median, high = (
        [getattr(each, name) for each in band.forecasts] for name in ("low", "median", "high")
    )
    colour = COLOUR[band.kind]
    axes.fill_between(x, low, high, color=colour, alpha=0.15, lw=0)
    axes.plot(x, median, color=colour, lw=1.2)


def _points(axes: Axes, seen: ErrorsSeen, kind: Kind) -> None:
    own = [outcome for outcome in seen.outcomes if outcome.kind is kind]
    whole = {each.target if kind is Kind.SCRATCH else each for each in seen.at_rounds}
    full = [(o.counts.target if kind is Kind.SCRATCH else o.counts) in whole for o in own]
    for filled, size in ((False, 4.5), (True, 5.5)):
        shown = [o for o, is_full in zip(own, full, strict=True) if is_full == filled]
        axes.plot(
            [o.counts.target for o in shown], [o.error for o in shown], "o", ms=size, zorder=3,
            color=COLOUR[kind], mfc=COLOUR[kind] if filled else PAPER, mew=1.1,
            label=f"{NAME[kind]}, validation" if filled else None,
        )  # fmt: skip


def _forecast_mark(axes: Axes, labels: float, found: Percentiles, colour: str, name: str) -> None:
    bars = [[found.median - found.low], [found.high - found.median]]
    axes.errorbar(
        [labels], [found.median], bars, fmt="D", ms=6, color=colour, mfc=PAPER, mew=1.3,
        elinewidth=1.2, capsize=4, label=name, zorder=2,
    )  # fmt: skip


def _end_mark(axes: Axes, labels: int, errors: Errors, colour: str, name: str) -> None:
    low, high = max(errors.low, 0.3 * errors.force_mae), errors.high
    bars = [[errors.force_mae - low], [high - errors.force_mae]]
    bars = bars if np.isfinite(high) else [[np.nan], [np.nan]]
    axes.errorbar(
        [labels], [errors.force_mae], bars, fmt="s", ms=7, color=colour, mec=INK, mew=1.1,
        ecolor=INK, elinewidth=1.2, capsize=4, zorder=4, label=name or None,
    )  # fmt: skip


def _dress(axes: Axes, facts: Facts, seen: ErrorsSeen) -> None:
    axes.set(xscale="log", yscale="log", ylabel=f"force MAE, {UNIT}")
    axes.set_xlabel(f"{TARGET} labels trained on")
    plain_numbers(axes)
    ticks = sorted({*(each.target for each in seen.at_rounds), seen.end.target})
    ticks = _apart([*ticks, seen.planned.target, *(o.counts.target for o in seen.outcomes)])
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(visible=True)
    if facts.rounds:
        _money_axis(axes, facts)
    height = 1.16 if facts.rounds else 1.0
    axes.legend(loc="lower left", bbox_to_anchor=(0, height), ncols=2, borderaxespad=0)


def _apart(wanted: Sequence[int]) -> list[int]:
    """Those that don't run into earlier ones."""
    kept: list[int] = []
    for tick in wanted:
        if all(max(tick, other) / min(tick, other) > NEAREST for other in kept):
            kept.append(tick)
    return sorted(kept)


def _money_axis(axes: Axes, facts: Facts) -> None:
    top = axes.twiny()
    top.set(xscale="log", xlim=axes.get_xlim())
    labels = {record.counts.target: record.spent for record in facts.rounds}
    ticks = _apart(list(labels))
    top.set_xticks(ticks, [money(facts, labels[tick]) for tick in ticks])
    top.xaxis.set_minor_locator(NullLocator())
    top.set_xlabel("spent when the round had ended")
    top.spines["top"].set_visible(True)
