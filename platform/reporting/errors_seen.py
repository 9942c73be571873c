"""Errors that a campaign's trainings saw, and what the error model makes of them.

In rounds they are the rounds' own, of shortened trainings; where all was bought at once, those of
its one training. The hold-out is never among them, so it tests what is forecast from them. Errors
in kcal/mol/Å on validation frames; counts are training labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forgefield.platform.forecasting.counts import Counts
from forgefield.platform.forecasting.error_model import Forecast, Posterior
from forgefield.platform.forecasting.outcomes import Kind, Outcome, Training
from forgefield.platform.planning.allocation import TARGET
from forgefield.platform.planning.fitted import learnt_tiers
from forgefield.platform.planning.own_frames import counts_of, is_own
from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.planned_labels import planned_counts
from forgefield.platform.reporting.facts import Facts
from forgefield.platform.rounds.learning import outcomes_of
from forgefield.storage.frames import Frames
from forgefield.storage.records import Purpose

POINTS = 40
MARGIN = 1.3


@dataclass(frozen=True, slots=True)
class Band:
    """Forecasts of one kind of training along the campaign's mixture of tiers."""

    kind: Kind
    counts: tuple[Counts, ...]
    forecasts: tuple[Forecast, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ErrorsSeen:
    """Outcomes in their order; `end` is what the last training learns from.

    `posterior` aims at the last training, bands at that of the outcomes. `at_rounds` are the labels
    of each round, or of the one training.
    """

    outcomes: tuple[Outcome, ...]
    posterior: Posterior
    at_rounds: tuple[Counts, ...]
    planned: Counts
    end: Counts

    def forecast(self, frames: int | None = None) -> Forecast:
        """Of the error at the end, as measured on so many frames (None: very many)."""
        return self.posterior.forecast(self.end, frames=frames)

    def band(self, kind: Kind) -> Band:
        """From the fewest labels seen to beyond the most that were planned or bought.

        Of trainings like those that were seen.
        """
        known = [outcome.counts.target for outcome in self.outcomes]
        most = max(*known, self.planned.target, self.end.target)
        low, high = min(known) / MARGIN, most * MARGIN
        places = [max(1, round(n)) for n in np.geomspace(low, high, POINTS)]
        counts = tuple(self._mixture(n) for n in dict.fromkeys(places))
        posterior = self.posterior.aimed(self.outcomes[-1].training)
        forecasts = tuple(posterior.forecast(each, kind) for each in counts)
        return Band(kind, counts, forecasts)

    def _mixture(self, target: int) -> Counts:
        """Labels of all tiers when there were so many of the target's, between rounds linear."""
        known = sorted({*self.at_rounds, self.end}, key=lambda each: each.triple)
        xs = [each.target for each in known]
        middle = np.interp(target, xs, [each.middle for each in known])
        cheap = np.interp(target, xs, [each.cheap for each in known])
        return Counts(target, round(float(middle)), round(float(cheap)))


def errors_seen(facts: Facts) -> ErrorsSeen | None:
    """None before the first training has ended."""
    if facts.plan is None or facts.frames is None:
        return None
    end = counts_of(_own(facts.frames, facts.plan), learnt_tiers(facts.plan.recipe))
    if facts.rounds:
        usual = facts.plan.round_training
        outcomes = [each.to_outcome(usual) for record in facts.rounds for each in record.outcomes]
        at_rounds = [record.counts.to_counts() for record in facts.rounds]
    else:
        outcomes, at_rounds = [*_of_one_training(facts, facts.plan, end)], [end]
    if not outcomes:
        return None
    settings, atoms = facts.plan.recipe.forecast, len(facts.plan.molecule.numbers)
    last = Training(facts.plan.last_training.effort, facts.members)
    posterior = Posterior.of(outcomes, settings, atoms, last)
    planned = planned_counts(facts.plan)
    return ErrorsSeen(tuple(outcomes), posterior, tuple(at_rounds), planned, end)


def _of_one_training(facts: Facts, plan: Plan, end: Counts) -> Sequence[Outcome]:
    if facts.outcome is None or facts.frames is None:
        return []
    judging = _own(facts.frames, plan).of_tier(TARGET).of_purpose(Purpose.VALIDATION)
    if not len(judging):
        return []
    return outcomes_of(facts.outcome, end, len(judging), plan.last_training.effort)


def _own(frames: Frames, plan: Plan) -> Frames:
    """Frames of the plan's methods, which alone are trained on."""
    return frames.select(is_own(frames, plan.methods))
