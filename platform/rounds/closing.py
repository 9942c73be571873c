"""The end of a round: errors seen → posterior → decision, as the record that `round.json` holds.

Before it trains the same is asked of the errors seen so far: what the next round should buy.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from forgefield.platform.buying.orders import JUDGING
from forgefield.platform.forecasting.counts import Costs, Counts
from forgefield.platform.forecasting.error_model import Posterior
from forgefield.platform.forecasting.outcomes import Outcome
from forgefield.platform.forecasting.stopping import Money, labels_words
from forgefield.platform.planning.allocation import MIDDLE, TARGET
from forgefield.platform.planning.plan import Plan
from forgefield.platform.rounds.deciding import (
    Decision,
    Standing,
    costs_since,
    decided,
    limits_of,
)
from forgefield.platform.rounds.documents import (
    Band,
    CountsDocument,
    Course,
    OutcomeDocument,
    Round,
)
from forgefield.platform.rounds.learning import Learnt, best_error, outcomes_of
from forgefield.platform.rounds.policy import ahead_buy
from forgefield.storage.ledger.entries import Balance, JobState, State, TierTally
from forgefield.storage.records import Job, Purpose
from forgefield.storage.units import from_micro

PAID = frozenset({State.DONE, State.RESERVED})
LIKELY = 0.5
"""Chance that a target is reached with which nothing is bought ahead of the next decision."""


@dataclass(frozen=True, slots=True)
class Account:
    """What the ledger says at the end of a round, and of the labels bought ahead of the next.

    `asked` are hold-out, validation and all labels that rounds so far wanted: some may be slow and
    still at work, or queue. `states` are of `ahead` and `asked`, not later than `balance`.
    `offered` are configurations that the pool still has for each tier; `frozen`, keys of what is
    trained on.
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
        """Core-seconds neither spent nor needed by what is at work or kept for what judges."""
        free = from_micro(self.balance.cap_micro - self.balance.spent_micro)
        judging = [job for job in self.asked if job.purpose in JUDGING]
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
    seen = outcomes_of(learnt.outcome, counts, validation, plan.round_training.effort)
    earlier = _seen(plan, records)
    posterior, ahead = _posterior(plan, [*earlier, *seen]), account.at_hand()
    standing = _standing(plan, counts, account, len(records) + 1)
    decision = decided(posterior, standing, plan.recipe.stopping, plan.recipe.rounds)
    return Round(
        number=len(records),
        counts=CountsDocument.of(counts),
        outcomes=tuple(OutcomeDocument.of(each) for each in seen),
        error=best_error(learnt.outcome),
        expected=_expected(plan, earlier, counts, validation),
        band=Band.of(posterior.forecast(standing.counts)),
        ahead=None if decision.ahead is None else Band.of(decision.ahead),
        decision=decision.course,
        why=_why(decision, ahead),
        spend_rest=decision.spend_rest,
        bought_ahead=CountsDocument.of(ahead),
        buy=CountsDocument.of(decision.buy),
        members=tuple(str(member.relative_to(root)) for member in learnt.members),
        spent=from_micro(account.balance.spent_micro),
        left=standing.left,
    )


def wished_ahead(plan: Plan, records: Sequence[Round], counts: Counts, account: Account) -> Counts:
    """Labels that the next round will want, by all errors seen before this one trains on `counts`.

    None where they say already that labels should end, or that a target may well be reached.
    """
    standing = _standing(plan, counts, account, len(records) + 1)
    rules = plan.recipe.stopping
    rules = rules.model_copy(update={"confidence": min(rules.confidence, LIKELY)})
    posterior = _posterior(plan, _seen(plan, records))
    buy = decided(posterior, standing, rules, plan.recipe.rounds).buy
    return ahead_buy(standing.counts, buy, plan.recipe.rounds)


def _standing(plan: Plan, counts: Counts, account: Account, rounds: int) -> Standing:
    costs = costs_since(plan, account.tally)
    at_hand = counts.plus(account.at_hand()).plus(account.late())
    return Standing(
        counts=at_hand,
        left=account.left(costs),
        costs=costs,
        limits=limits_of(plan, at_hand, account.offered),
        money=Money(plan.cap, plan.budget, plan.unit_core_seconds),
        target=plan.asked_target,
        rounds=rounds,
    )


def _seen(plan: Plan, records: Sequence[Round]) -> list[Outcome]:
    usual = plan.round_training
    return [each.to_outcome(usual) for record in records for each in record.outcomes]


def _why(decision: Decision, ahead: Counts) -> str:
    """The decision's reason; where it returns money, what was bought before it could be made."""
    stopped = decision.course is Course.STOP and not decision.spend_rest
    if not (stopped and any(ahead.triple)):
        return decision.why
    return f"{decision.why} (bought ahead meanwhile: {labels_words(ahead)})"


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
