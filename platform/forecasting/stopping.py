"""Whether to buy further labels, which, and why not: state in, Decision out.

Going on stops for the first of these reasons:

- `TARGET`: the last training should reach the error that was asked for, with `confidence`;
- `BUDGET`: no further label fits, or every tier has its most labels;
- `GAIN`: the next batch gains less than `least_gain` kcal/mol/Å for a tenth of the budget;
- `REGRET`: all that is left would lower the error by under `least_regret`, and it is worth
  returning: `worth_returning` of the budget or more.

A batch is never dearer than what is left. Costs are core-seconds, errors kcal/mol/Å.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from pydantic import Field, NonNegativeFloat

from forgefield.platform.forecasting.counts import Costs, Counts
from forgefield.platform.forecasting.error_model import Posterior
from forgefield.platform.forecasting.searching import fitting
from forgefield.platform.forecasting.splitting import Limits, best_split
from forgefield.platform.screen.wording import amount, counted, three_digits
from forgefield.storage.documents import Document
from forgefield.storage.errors import BudgetTooSmall

TENTH = 0.1


class StopRules(Document):
    """When labels aren't worth their price any more."""

    confidence: float = Field(0.9, gt=0, lt=1)
    batch: float = Field(0.1, gt=0, le=1)
    least_gain: NonNegativeFloat = 0.002
    least_regret: float = Field(0.05, ge=0, lt=1)
    worth_returning: float = Field(0.1, ge=0, le=1)


class Reason(StrEnum):
    """Why no further labels are bought."""

    TARGET = "target"
    BUDGET = "budget"
    GAIN = "gain"
    REGRET = "regret"


@dataclass(frozen=True, slots=True)
class Money:
    """The whole budget in core-seconds, and how its user counts: `31ccsd` is 31 of `unit`."""

    budget: float
    unit: str = "ccsd"
    unit_core_seconds: float | None = None

    def words(self, core_seconds: float, costs: Costs) -> str:
        """An amount in the user's unit; in target-tier labels if none was given."""
        return amount(core_seconds / (self.unit_core_seconds or costs.target), self.unit)


@dataclass(frozen=True, slots=True)
class Stop:
    """A full sentence in the user's unit, and which rule it was."""

    reason: str
    kind: Reason


@dataclass(frozen=True, slots=True)
class GoOn:
    """What to buy next, beyond what is there."""

    buy: Counts


def decide(
    posterior: Posterior,
    counts: Counts,
    left: float,
    costs: Costs,
    target: float | None,
    rules: StopRules,
    *,
    limits: Limits | None = None,
    money: Money | None = None,
) -> Stop | GoOn:
    """Stop, or what to buy; `left` is core-seconds not spent or reserved.

    Without `money`, the budget is what is left and what `counts` would cost.
    """
    money = money or Money(left + costs.of(counts))
    back = f"stopped, {money.words(left, costs)} returned"
    if target is not None and posterior.chance_below(target, counts) >= rules.confidence:
        return Stop(_reached(posterior, counts, target, back), Reason.TARGET)
    goal = _goal(posterior, counts, left, costs, limits or Limits())
    buy = _batch(goal.beyond(counts), left, rules.batch * money.budget, costs)
    if not any(buy.triple):
        return Stop(f"no further label fits into what is left; {back}", Reason.BUDGET)
    gain = _fall(posterior, counts, counts.plus(buy))
    if gain < rules.least_gain * costs.of(buy) / (TENTH * money.budget):
        words = f"the next {labels_words(buy)} should gain {three_digits(gain)} kcal/mol/Å; {back}"
        return Stop(words, Reason.GAIN)
    regret = _regret(posterior, counts, goal)
    if regret < rules.least_regret and left >= rules.worth_returning * money.budget:
        words = f"all that is left should lower the error by {100 * regret:.1f} %; {back}"
        return Stop(words, Reason.REGRET)
    return GoOn(buy)


def _goal(
    posterior: Posterior, counts: Counts, left: float, costs: Costs, limits: Limits
) -> Counts:
    """Where all that is left leads; without the fewest labels if they don't fit any more."""
    limits = Limits(limits.fewest, limits.most.at_least(counts), counts)
    try:
        return best_split(posterior, left, costs, limits)
    except BudgetTooSmall:
        return best_split(posterior, left, costs, Limits(Counts(0), limits.most, counts))


def _batch(wanted: Counts, left: float, size: float, costs: Costs) -> Counts:
    """A share of what is wanted, worth about `size`; every tier rounded up where that fits."""
    whole = costs.of(wanted)
    share = min(1.0, size / whole) if whole > 0 else 1.0
    batch, prices = Counts(0), costs.triple
    for tier, count in enumerate(wanted.triple):
        number = int(np.ceil(share * count - 1e-9))
        number = fitting(left - costs.of(batch), prices[tier], number)
        batch = batch.plus(Counts(*(number if place == tier else 0 for place in range(3))))
    return batch


def _fall(posterior: Posterior, counts: Counts, then: Counts) -> float:
    """Expected fall of the error, kcal/mol/Å."""
    errors_PK = np.exp(posterior.log_errors([counts, then]))
    return float(np.mean(errors_PK[:, 0] - errors_PK[:, 1]))


def _regret(posterior: Posterior, counts: Counts, then: Counts) -> float:
    """Expected relative fall of the error."""
    logs_PK = posterior.log_errors([counts, then])
    return float(np.mean(-np.expm1(logs_PK[:, 1] - logs_PK[:, 0])))


def _reached(posterior: Posterior, counts: Counts, target: float, back: str) -> str:
    chance = posterior.chance_below(target, counts)
    return (
        f"the error should end at {target:g} kcal/mol/Å or less after the last training, with "
        f"{100 * chance:.0f} % confidence; {back}"
    )


def labels_words(buy: Counts) -> str:
    """`3 target labels and 40 labels of the tier below`: every tier that is bought."""
    parts = [
        counted(buy.target, "target label"),
        counted(buy.middle, "label") + " of the tier below",
        counted(buy.cheap, "cheap label"),
    ]
    return " and ".join(part for part, count in zip(parts, buy.triple, strict=True) if count)
