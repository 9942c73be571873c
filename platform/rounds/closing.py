"""The end of a round: errors seen → posterior → decision, as the record that `round.json` holds."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from forgefield.platform.forecasting.counts import Costs, Counts
from forgefield.platform.forecasting.error_model import Posterior
from forgefield.platform.forecasting.outcomes import Outcome
from forgefield.platform.forecasting.stopping import Money
from forgefield.platform.planning.allocation import MIDDLE, TARGET
from forgefield.platform.planning.plan import Plan
from forgefield.platform.rounds.deciding import Standing, costs_since, decided, limits_of
from forgefield.platform.rounds.documents import Band, CountsDocument, OutcomeDocument, Round
from forgefield.platform.rounds.learning import Learnt, best_error, outcomes_of
from forgefield.storage.ledger.entries import Balance, JobState, State, TierTally
from forgefield.storage.records import Job, Purpose
from forgefield.storage.units import from_micro

PAID = frozenset({State.DONE, State.RESERVED})


@dataclass(frozen=True, slots=True)
class Account:
    """What the ledger says at the end of a round, and of the labels bought ahead of the next.

    `asked` are the hold-out and all labels that rounds so far wanted: some may be slow and still at
    work, or queue. `states` are of `ahead` and `asked`, not later than `balance`. `offered` are
    configurations that the pool still has for each tier; `frozen`, keys of what was trained on.
    """

    balance: Balance
    tally: Sequence[TierTally]
    ahead: Sequence[Job]
    asked: Sequence[Job]
    states: Mapping[str, JobState]
    offered: Counts
    frozen: Collection[str]

    def at_hand(self) -> Counts:
        """Labels bought ahead that are settled or at work: they are paid."""
        return self._count(self.ahead, PAID)

    def late(self) -> Counts:
        """Training labels of rounds so far that came after the freeze, or will: paid, too."""
        training = [job for job in self.asked if job.purpose is Purpose.TRAIN]
        return self._count([job for job in training if job.key() not in self.frozen], PAID)

    def left(self, costs: Costs) -> float:
        """Core-seconds neither spent nor needed by what is at work or kept for the hold-out."""
        free = from_micro(self.balance.cap_micro - self.balance.spent_micro)
        judging = [job for job in self.asked if job.purpose is Purpose.HOLDOUT]
        waits = self._count(judging, frozenset({State.WAITING}))
        at_work = self._count([*self.ahead, *self.asked], frozenset({State.RESERVED}))
        return max(0.0, free - costs.of(at_work.plus(waits)))

    def _count(self, jobs: Sequence[Job], wanted: Collection[State]) -> Counts:
        of = {TARGET: 0, MIDDLE: 0}
        for job in jobs:
            state = self.states.get(job.key())
            found = State.WAITING if state is None else state.state
            of[job.method.tier] += found in wanted
        return Counts(of[TARGET], of[MIDDLE])


def ended(
    plan: Plan,
    records: Sequence[Round],
    counts: Counts,
    learnt: Learnt,
    validation: int,
    account: Account,
    root: Path,
) -> Round:
    """The record of a round that was trained on `counts` and saw `validation` frames."""
    usual = plan.round_training
    seen = outcomes_of(learnt.outcome, counts, validation, usual.effort)
    earlier = [each.to_outcome(usual) for record in records for each in record.outcomes]
    posterior = _posterior(plan, [*earlier, *seen])
    costs, ahead = costs_since(plan, account.tally), account.at_hand()
    at_hand = counts.plus(ahead).plus(account.late())
    standing = Standing(
        counts=at_hand,
        left=account.left(costs),
        costs=costs,
        limits=limits_of(plan, at_hand, account.offered),
        money=Money(plan.cap, plan.budget, plan.unit_core_seconds),
        target=None if plan.target is None else plan.target.asked,
        rounds=len(records) + 1,
    )
    decision = decided(posterior, standing, plan.recipe.stopping, plan.recipe.rounds)
    return Round(
        number=len(records),
        counts=CountsDocument.of(counts),
        outcomes=tuple(OutcomeDocument.of(each) for each in seen),
        error=best_error(learnt.outcome),
        expected=_expected(plan, earlier, counts, validation),
        band=Band.of(posterior.forecast(at_hand)),
        ahead=None if decision.ahead is None else Band.of(decision.ahead),
        decision=decision.course,
        why=decision.why,
        spend_rest=decision.spend_rest,
        bought_ahead=CountsDocument.of(ahead),
        buy=CountsDocument.of(decision.buy),
        members=tuple(str(member.relative_to(root)) for member in learnt.members),
        spent=from_micro(account.balance.spent_micro),
        left=standing.left,
    )


def _posterior(plan: Plan, outcomes: Sequence[Outcome]) -> Posterior:
    atoms = len(plan.molecule.numbers)
    return Posterior.of(outcomes, plan.recipe.forecast, atoms, plan.last_training)


def _expected(
    plan: Plan, earlier: Sequence[Outcome], counts: Counts, validation: int
) -> Band | None:
    """What the rounds before would have said of this one's error, on so many frames."""
    if not earlier:
        return None
    posterior = _posterior(plan, earlier).aimed(plan.round_training)
    return Band.of(posterior.forecast(counts, frames=validation))
