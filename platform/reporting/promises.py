"""What a plan promised and what happened, number beside number.

Costs in core-seconds, times in s, errors in kcal/mol/Å. Pure, but for the facts it reads.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from forgefield.platform.evaluating import Errors
from forgefield.platform.forecasting.error_model import Percentiles, on_frames
from forgefield.platform.planning.cost_scaling import Scaled, range_of_mean
from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.tier_quotes import TierQuote
from forgefield.platform.reporting.facts import Facts
from forgefield.platform.run_spans import seconds_of
from forgefield.storage.ledger.entries import TierTally
from forgefield.storage.records import Purpose, Tier
from forgefield.storage.units import from_micro
from forgefield.trainers.evaluation.intervals import students_quantile

LABELLING = frozenset({"calibration", "labelling"})
TRAINING = "training"
"""The last one; those of rounds belong to labelling."""


class Unit(StrEnum):
    """What a promise is counted in."""

    COST = "core-seconds"
    MONEY = "core-seconds of the budget"
    TIME = "seconds"
    ERROR = "kcal/mol/Å"


@dataclass(frozen=True, slots=True)
class Ends:
    """A value with a range; NaN where none is known."""

    value: float
    low: float = math.nan
    high: float = math.nan

    def holds(self, value: float) -> bool | None:
        """Whether a value is in the range; None without one."""
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            return None
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Promise:
    """One quantity: `quoted` with the range that the quote gave, `found` with its uncertainty."""

    name: str
    unit: Unit
    quoted: Ends
    found: Ends
    level: str = ""

    @property
    def ratio(self) -> float:
        """What happened, in parts of what was quoted."""
        return self.found.value / self.quoted.value

    @property
    def log_error(self) -> float:
        """|ln(happened/quoted)|."""
        return abs(math.log(self.ratio))

    @property
    def kept(self) -> bool | None:
        """Whether the quoted range held; None where the quote gave none."""
        return self.quoted.holds(self.found.value)


def promises(facts: Facts, plan: Plan) -> tuple[Promise, ...]:
    """All that can be compared by now: error, costs of labels, money, time."""
    found = [*_errors(facts, plan), *_label_costs(facts, plan)]
    if labelled(facts):
        found.append(
            Promise(
                "all labels",
                Unit.MONEY,
                Ends(plan.cost),
                Ends(from_micro(facts.balance.spent_micro)),
            )
        )
        found += [*_labelling_time(facts, plan), *_training_time(facts, plan)]
    return tuple(each for each in found if each.found.value > 0)


def labelled(facts: Facts) -> bool:
    """Whether labelling has come to its end."""
    return any(span.name == "labelling" and span.finished for span in facts.spans)


def _errors(facts: Facts, plan: Plan) -> list[Promise]:
    if facts.evaluation is None:
        return []
    found, said = _ends(facts.evaluation.force_field), []
    bands: dict[str, Percentiles] = {} if plan.forecast is None else {"plan": plan.forecast}
    if facts.rounds:
        bands["last round"] = facts.rounds[-1].ahead or facts.rounds[-1].band
    for name, band in bands.items():
        few = on_frames(band, facts.evaluation.frames, plan.recipe.forecast)
        quoted = Ends(few.median, few.low, few.high)
        said.append(Promise(f"error ({name})", Unit.ERROR, quoted, found, "80 %"))
    return said


def _ends(errors: Errors) -> Ends:
    return Ends(errors.force_mae, errors.low, errors.high)


def _label_costs(facts: Facts, plan: Plan) -> list[Promise]:
    """Mean cost of labels bought after calibration, which the quote is made from.

    The quote's range is of one label; a mean is held against the range of a mean. Those at a stated
    price are left out.
    """
    said = []
    for quote in plan.tiers:
        rows = _bought(facts.tally, quote.tier)
        if rows and not plan.recipe.is_priced(quote.tier):
            one, labels = Scaled(quote.core_seconds, quote.low, quote.high), _labels(rows)
            ends = range_of_mean(one, quote.measured, labels)
            quoted = Ends(ends.core_seconds, ends.low, ends.high)
            said.append(Promise(f"{quote.tier} label", Unit.COST, quoted, _mean(rows), "90 %"))
    return said


def _bought(tally: Sequence[TierTally], tier: Tier) -> list[tuple[int, float, float]]:
    """Labels bought after calibration by purpose: number, mean and deviation of core-seconds."""
    return [
        (row.bought, row.mean_core_seconds, row.std_core_seconds)
        for row in tally
        if row.tier == tier and row.purpose != Purpose.CALIBRATION and row.bought
    ]


def _labels(rows: Sequence[tuple[int, float, float]]) -> int:
    return sum(count for count, *_ in rows)


def _mean(known: Sequence[tuple[int, float, float]]) -> Ends:
    """Mean core-seconds, with its 95 % interval from three labels on."""
    number = _labels(known)
    mean = sum(count * each for count, each, _ in known) / number
    if number < 3:
        return Ends(mean)
    squares = sum(
        (count - 1) * (std**2 if count > 1 else 0.0) + count * (each - mean) ** 2
        for count, each, std in known
    )
    half = students_quantile(number) * math.sqrt(squares / (number - 1) / number)
    return Ends(mean, max(0.0, mean - half), mean + half)


def _labelling_time(facts: Facts, plan: Plan) -> list[Promise]:
    """At stated prices labels take another time than they cost, so nothing is compared."""
    quoted = plan.wall[0].seconds if plan.wall else None
    if not quoted or any(plan.recipe.is_priced(tier) for tier in Tier):
        return []
    return [Promise("labelling time", Unit.TIME, Ends(quoted), Ends(labelling_s(facts)))]


def _training_time(facts: Facts, plan: Plan) -> list[Promise]:
    """Of the last training; fits that stop early make it shorter."""
    took, quoted = [span for span in facts.spans if span.name == TRAINING], plan.training_time
    if quoted is None or not any(span.finished for span in took):
        return []
    ends = Ends(quoted.wall_s, quoted.wall_s / quoted.factor, quoted.wall_s * quoted.factor)
    seconds = seconds_of(took, {TRAINING})
    return [Promise("training time", Unit.TIME, ends, Ends(seconds), "90 %")]


def labelling_s(facts: Facts) -> float:
    """Wall time of calibration and labelling, the rounds' trainings included."""
    return seconds_of(facts.spans, LABELLING)


def planned_and_bought(facts: Facts, quote: TierQuote) -> tuple[int, int, int]:
    """Labels of a tier: planned, done, failed."""
    rows = [row for row in facts.tally if row.tier == quote.tier]
    return quote.total, sum(row.done for row in rows), sum(row.failed for row in rows)
