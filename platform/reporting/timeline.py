"""The section about time: how long each part took, and how busy the cores were."""

from collections.abc import Sequence
from datetime import UTC, datetime

from matplotlib.ticker import MaxNLocator

from forgefield.platform.drawing.figures import (
    COLOURS,
    LINE,
    SOFT,
    Picture,
    beside,
    blank,
    picture,
)
from forgefield.platform.reporting.facts import Facts
from forgefield.platform.reporting.parts import (
    Section,
    percent,
    time_unit,
)
from forgefield.platform.run_spans import Span
from forgefield.platform.screen.wording import duration
from forgefield.storage.records import Purpose, Tier
from forgefield.storage.units import from_micro


def timeline_section(facts: Facts) -> Section:
    """How long each part took."""
    if not facts.spans:
        return Section("timeline", "Timeline", missing="No timed step has begun yet.")
    lead = f"{duration(facts.wall_s)} at work in all."
    share = labelling_share(facts)
    if share is not None:
        lead += (
            f" From the first label to the last, workers already loaded, {percent(share)} of the "
            "time of the cores that label went into labels, failed ones included."
        )
    trained = sum(record.trained_s for record in facts.rounds)
    if trained:
        lead += f" The rounds trained for {duration(trained)} on cores that labels lent them."
    return Section("timeline", "Timeline", lead, (_gantt(facts),))


def labelling_share(facts: Facts) -> float | None:
    """Core-seconds inside labels per core-second of the labelling step.

    Neither counts calibration or the loading of workers, which are steps of their own. At stated
    prices there is no such share.
    """
    spans = [span for span in facts.spans if span.name == "labelling"]
    if facts.plan is None or not spans or not all(span.finished for span in spans):
        return None
    if any(facts.plan.recipe.is_priced(tier) for tier in Tier):
        return None
    bought = [row for row in facts.tally if row.purpose != Purpose.CALIBRATION]
    spent = from_micro(sum(row.spent_micro for row in bought))
    return spent / (facts.plan.slots * facts.plan.threads * sum(span.seconds for span in spans))


def _gantt(facts: Facts) -> Picture:
    names = list(dict.fromkeys(span.name for span in facts.spans))
    start, end = facts.spans[0].start, max(span.end for span in facts.spans)
    size, word = time_unit(end - start)
    figure = blank(0.95 + 0.3 * len(names))
    axes = figure.subplots()
    for span in facts.spans:
        row = names.index(span.name)
        left, width = (span.start - start) / size, max(span.seconds / size, 1e-9)
        fill, edge = (COLOURS["force-field"], "none") if span.finished else (LINE, SOFT)
        axes.barh(row, width, left=left, height=0.55, lw=0.7, facecolor=fill, edgecolor=edge)
    for row, name in enumerate(names):
        own = [span for span in facts.spans if span.name == name]
        beside(axes, _row_words(own), (max(span.end for span in own) - start) / size, row)
    axes.set_yticks(range(len(names)), names)
    axes.set(
        xlabel=f"time since the start, {word}", xlim=(0, max((end - start) / size, 1e-9) * 1.2)
    )
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(8))
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    said = ", ".join(
        f"{name} {_row_words([span for span in facts.spans if span.name == name])}"
        for name in names
    )
    when = datetime.fromtimestamp(start, tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
    caption = f"Begun {when}. Grey steps were cut off, or are not over yet."
    finished = all(span.finished for span in facts.spans)
    return picture(figure, "timeline", f"Steps: {said}.", f"Begun {when}." if finished else caption)


def _row_words(spans: Sequence[Span]) -> str:
    """`3.2 min in 2 parts, not finished`."""
    words = duration(sum(span.seconds for span in spans))
    words += f" in {len(spans)} parts" if len(spans) > 1 else ""
    return words + ("" if spans[-1].finished else ", not finished")
