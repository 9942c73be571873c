"""The sections about training: learning curve and stages, and how cheap labels were weighed.

Errors in kcal/mol/Å; training counts in eV/Å.
"""

from collections.abc import Sequence

import numpy as np

from forgefield.platform.drawing.figures import (
    COLOURS,
    Picture,
    blank,
    picture,
    plain_numbers,
)
from forgefield.platform.reporting.errors import COLOUR, NOT_TRAINED
from forgefield.platform.reporting.facts import Facts
from forgefield.platform.reporting.parts import DASH, Section, Table, listed
from forgefield.platform.reporting.predictions import CurvePoint, TierBias, climbed
from forgefield.platform.screen.wording import UNIT, digits, duration
from forgefield.storage.units import KCAL_PER_MOL_PER_EV
from forgefield.trainers.stages.asteroid_settings import TrainingOutcome
from forgefield.trainers.stages.tasks import StageResult

TITLE = "The last training"
CURVE_NAMES = {"finetuned": "force field", "standard": "standard training"}


def learning_section(facts: Facts, points: Sequence[CurvePoint]) -> Section:
    """Hold-out error against accurate labels, and how each stage went."""
    if facts.outcome is None:
        return Section("learning", TITLE, missing=NOT_TRAINED)
    best = facts.outcome.best
    stages = [
        ("1 bias identification (also the standard training)", facts.outcome.baseline),
        *(
            (f"2 pre-training on {listed(t.tiers[-1:])}", t.pretrain)
            for t in climbed(facts.outcome)
        ),
        ("3 fine-tuning", best.finetune),
        *_further("the same, network", facts.outcome.others, facts.outcome.members),
        *_further("1 of network", facts.outcome.baseline_others, facts.outcome.baseline_members),
    ]
    rows = tuple(row for name, stage in stages for row in _stage_rows(name, stage))
    head = ("stage", "frames", "steps", "best at", f"validation, {UNIT}", "wall time")
    table = Table(head, rows)
    if not points:
        missing = "The force fields of the curve, or the hold-out, are not in the run folder."
        return Section("learning", TITLE, tables=(table,), missing=missing)
    lead = "Force MAE on the hold-out after training on nested parts of the accurate labels. "
    lead += "Every force field uses all cheap labels; the standard training uses none. "
    if facts.members > 1:
        lead += f"These are single networks; the force field is the mean of {facts.members}. "
    lead += _start_of_curve(facts.outcome)
    return Section("learning", TITLE, lead, (_curve(points),), (table,))


def _further(
    name: str, trained: Sequence[StageResult], kept: Sequence[StageResult]
) -> list[tuple[str, StageResult]]:
    """Rows of a committee's further members."""
    return [
        (f"{name} {place}" + ("" if each in kept else ", left out"), each)
        for place, each in enumerate(trained, start=2)
    ]


def _start_of_curve(outcome: TrainingOutcome) -> str:
    """Weights of cheap labels come from stage 1, and so from all accurate labels."""
    if outcome.curve_knows_all:
        return (
            "Pre-training is weighted by stage 1, which has seen all accurate labels: left of its "
            "last point the curve of the force field is a little too good."
        )
    if outcome.curve_start == outcome.best:
        return "Its pre-training has seen no accurate label."
    return (
        "So that pre-training has seen no accurate label, all cheap labels count alike here; in "
        "the force field that was chosen they don't."
    )


def _stage_rows(name: str, stage: StageResult) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for place, phase in enumerate(stage.phases):
        part = f", part {place + 1}" if len(stage.phases) > 1 else ""
        error = phase.validation
        rows.append(
            (
                name + part,
                f"{phase.frames:,}",
                f"{phase.steps:,}",
                f"{phase.best_step:,}",
                DASH if error is None else digits(error * KCAL_PER_MOL_PER_EV),
                duration(stage.wall_s) if place == len(stage.phases) - 1 else "",
            )
        )
    return rows


def _curve(points: Sequence[CurvePoint]) -> Picture:
    figure = blank(3.2)
    axes = figure.subplots()
    said = []
    for kind, name in CURVE_NAMES.items():
        own = sorted((p for p in points if p.kind == kind), key=lambda p: p.frames)
        frames, values = [p.frames for p in own], [p.holdout.value for p in own]
        reach = [[p.holdout.value - p.holdout.low for p in own]]
        reach += [[p.holdout.high - p.holdout.value for p in own]]
        bars = np.nan_to_num(np.clip(reach, 0, None), posinf=np.nan)
        axes.errorbar(
            frames, values, bars, fmt="-o", ms=5, color=COLOUR[name], elinewidth=1,
            capsize=3, label=f"{name}, hold-out",
        )  # fmt: skip
        known = [p for p in own if p.validation is not None]
        axes.plot(
            [p.frames for p in known],
            [(p.validation or 0.0) * KCAL_PER_MOL_PER_EV for p in known],
            "D", ms=4, mfc="none", color=COLOUR[name], alpha=0.75, label=f"{name}, validation",
        )  # fmt: skip
        pairs = zip(frames, values, strict=True)
        said.append(f"{name} " + listed([f"{digits(v)} at {n}" for n, v in pairs]))
    axes.set(xscale="log", yscale="log", ylabel=f"force MAE, {UNIT}")
    axes.set_xlabel("accurate labels trained on")
    plain_numbers(axes)
    counts = sorted({p.frames for p in points})
    axes.set_xticks(counts, [str(number) for number in counts], minor=False)
    axes.set_xticks([], minor=True)
    axes.grid(visible=True)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0)
    alt = f"Hold-out force MAE against accurate labels: {'; '.join(said)}."
    caption = "Both axes are logarithmic. Bars are 95 % intervals over hold-out frames."
    return picture(figure, "learning", alt, caption)


def weights_section(facts: Facts, biased: Sequence[TierBias]) -> Section:
    """How far the cheap labels are from stage 1, and what they weighed."""
    title = "Weights of the cheap labels"
    if facts.outcome is None:
        return Section("weights", title, missing=NOT_TRAINED)
    rows = []
    for place, trial in enumerate(facts.outcome.trials):
        gamma = trial.gammas[-1] if trial.gammas else None
        error = trial.finetune.validation
        rows.append(
            (
                ("unweighted" if trial.c is None else f"c = {trial.c:g}")
                + (", chosen" if place == facts.outcome.chosen else ""),
                ", ".join(trial.tiers),
                DASH if gamma is None else digits(gamma * KCAL_PER_MOL_PER_EV),
                DASH if error is None else digits(error * KCAL_PER_MOL_PER_EV),
            )
        )
    head = (
        "γ = c · median(B)",
        "pre-trained on",
        f"γ of the last, {UNIT}",
        f"validation after fine-tuning, {UNIT}",
    )
    table = Table(head, tuple(rows), left=2)
    lead = "B is the mean difference between a cheap label's forces and those of stage 1; "
    lead += "a cheap label counts exp(−B/γ), so the more it disagrees, the less it is believed."
    if not any(facts.outcome.best.gammas):
        lead += " Here the validation frames preferred to believe all alike."
    if not biased:
        missing = "The force field of stage 1 is not in the run folder, so B can't be drawn."
        return Section("weights", title, lead, tables=(table,), missing=missing)
    return Section("weights", title, lead, (_bias(biased),), (table,))


def _bias(biased: Sequence[TierBias]) -> Picture:
    figure = blank(3.6)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    most = max(float(b.bias_F.max()) for b in biased) * KCAL_PER_MOL_PER_EV
    bins = int(np.clip(2 * min(len(b.bias_F) for b in biased) ** 0.5, 10, 40))
    edges, grid = np.linspace(0, most, bins + 1), np.linspace(0, most, 200)
    said = []
    for bias in biased:
        values, colour = bias.bias_F * KCAL_PER_MOL_PER_EV, COLOURS[bias.tier.value]
        share = np.full(len(values), 100 / len(values))
        upper.hist(values, edges, weights=share, color=colour, alpha=0.35)
        upper.hist(values, edges, weights=share, color=colour, histtype="step", label=bias.tier)
        middle = float(np.median(values))
        upper.axvline(middle, color=colour, lw=1, ls="--")
        scale = None if bias.gamma is None else bias.gamma * KCAL_PER_MOL_PER_EV
        weight = np.ones_like(grid) if scale is None else np.exp(-grid / scale)
        word = "unweighted" if scale is None else f"γ = {digits(scale)} {UNIT}"
        lower.plot(grid, weight, color=colour, label=f"{bias.tier}: {word}")
        said.append(f"{bias.tier} median B {digits(middle)} {UNIT}, {word}")
    upper.set_ylabel("labels, %")
    lower.set(ylabel="weight", ylim=(0, 1.05), xlim=(0, most))
    lower.set_xlabel(f"bias B of a cheap label, {UNIT}")
    for axes in (upper, lower):
        axes.grid(visible=True)
        axes.legend(loc="upper right")
    shown = [f"{len(b.bias_F):,} of {b.labels:,} {b.tier} labels" for b in biased]
    caption = f"Drawn: {listed(shown)}. Dashed: medians."
    return picture(figure, "weights", f"Bias of cheap labels: {'; '.join(said)}.", caption)
