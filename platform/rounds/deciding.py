"""What a round decides: stop, go on, or buy a last time and end. Pure; money in core-seconds.

Whether to go on follows from all that is left; the next batch is what the rounds' growth allows of
it, split by the posterior. Where it would leave too little for another round, or rounds are used
up, it takes all that is left, if that is worth it: training once more before the end would change
nothing that is bought.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from forgefield.platform.buying.score import Score
from forgefield.platform.forecasting.counts import Costs, Counts
from forgefield.platform.forecasting.error_model import Forecast, Posterior
from forgefield.platform.forecasting.splitting import Limits
from forgefield.platform.forecasting.stopping import (
    GoOn,
    Money,
    Reason,
    Stop,
    StopRules,
    decide,
    labels_words,
)
from forgefield.platform.planning.allocation import MIDDLE, TARGET
from forgefield.platform.planning.fitted import learnt_tiers
from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.round_settings import RoundSettings
from forgefield.platform.rounds.documents import Course
from forgefield.platform.rounds.policy import largest_buy
from forgefield.platform.screen.wording import three_digits
from forgefield.storage.ledger.entries import TierTally
from forgefield.storage.records import Purpose, Tier

EAGER = {"least_gain": 0.0, "least_regret": 0.0}
"""Rules by which any label is worth its price."""
WORTH_A_ROUND = 0.5
"""Of the next batch's cost: with less than that left behind it, the next batch is the last."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a campaign is: labels, core-seconds `left`, costs, and how many rounds have ended."""

    counts: Counts
    left: float
    costs: Costs
    limits: Limits
    money: Money
    target: float | None
    rounds: int


@dataclass(frozen=True, slots=True)
class Decision:
    """`buy` is what the next round adds; `spend_rest`: what is left then goes into a top-up."""

    course: Course
    why: str
    buy: Counts
    spend_rest: bool
    ahead: Forecast | None


def decided(
    posterior: Posterior, standing: Standing, rules: StopRules, settings: RoundSettings
) -> Decision:
    """Stop for a reason, or the next labels."""
    found = _asked(posterior, standing, _with_batch(standing, rules, settings))
    if isinstance(found, Stop):
        return _stopped(found, standing)
    buy = _grown(posterior, standing, found.buy, rules, settings)
    if _is_last(standing, buy, settings):
        return _last(posterior, standing, buy, rules)
    ahead = posterior.forecast(standing.counts.plus(buy))
    return Decision(
        Course.ON, _words("the next round", buy, ahead), buy, spend_rest=False, ahead=ahead
    )


def _stopped(found: Stop, standing: Standing) -> Decision:
    """The end; where nothing fits, the top-up still tries to the last label."""
    if found.kind is not Reason.BUDGET:
        return Decision(Course.STOP, found.reason, Counts(0), spend_rest=False, ahead=None)
    full = standing.counts.covers(standing.limits.top)
    limit = "every tier has the most labels that recipe and pool allow"
    why = limit if full else "no further label fits into what is left"
    return Decision(Course.STOP, why, Counts(0), spend_rest=True, ahead=None)


def _grown(
    posterior: Posterior, standing: Standing, buy: Counts, rules: StopRules, settings: RoundSettings
) -> Counts:
    """The batch where no tier grows by more than it may."""
    most = largest_buy(standing.counts, settings)
    if most.covers(Counts(buy.target, buy.middle)):
        return buy
    top = standing.counts.plus(most).at_most(standing.limits.top)
    limits = Limits(standing.limits.fewest, top.at_least(standing.limits.fewest), standing.counts)
    eager = _with_batch(standing, rules, settings).model_copy(update=EAGER)
    found = _asked(posterior, replace(standing, limits=limits, target=None), eager)
    return found.buy if isinstance(found, GoOn) else buy.at_most(most)


def _last(posterior: Posterior, standing: Standing, buy: Counts, rules: StopRules) -> Decision:
    """All that is left if that is worth it, else this batch alone."""
    whole = _asked(posterior, standing, rules.model_copy(update={"batch": 1.0}))
    rest = isinstance(whole, GoOn)
    buy = whole.buy if isinstance(whole, GoOn) else buy
    ahead = posterior.forecast(standing.counts.plus(buy))
    words = _words("the rest of the budget" if rest else "the last purchase", buy, ahead)
    if not rest:
        behind = max(0.0, standing.left - standing.costs.of(buy))
        back = standing.money.words(behind, standing.costs)
        words += f"; more would gain too little for its price, {back} returned"
    return Decision(Course.LAST, words, buy, rest, ahead)


def _asked(posterior: Posterior, standing: Standing, rules: StopRules) -> Stop | GoOn:
    return decide(
        posterior,
        standing.counts,
        standing.left,
        standing.costs,
        standing.target,
        rules,
        limits=standing.limits,
        money=standing.money,
    )


def _with_batch(standing: Standing, rules: StopRules, settings: RoundSettings) -> StopRules:
    """A batch worth the growth of a round, as a share of the budget."""
    worth = standing.costs.of(largest_buy(standing.counts, settings))
    share = min(1.0, max(worth / standing.money.budget, 1e-6))
    return rules.model_copy(update={"batch": share})


def _is_last(standing: Standing, buy: Counts, settings: RoundSettings) -> bool:
    price = standing.costs.of(buy)
    behind = standing.left - price
    return standing.rounds >= settings.most_rounds or behind < WORTH_A_ROUND * price


def _words(what: str, buy: Counts, ahead: Forecast) -> str:
    bought = labels_words(buy) or "what is under way"
    return (
        f"{what} buys {bought}: a last training on all of them should end at "
        f"{three_digits(ahead.median)} kcal/mol/Å "
        f"({three_digits(ahead.low)} to {three_digits(ahead.high)})"
    )


def limits_of(plan: Plan, counts: Counts, offered: Counts) -> Limits:
    """What rounds may reach: the recipe's most target labels, no more cheap ones than there are.

    Nor more than `offered` beyond those at hand, which is what the pool has. The middle tier grows
    only where the plan buys it beyond calibration: elsewhere nothing trains on it, or it hardly
    costs less than the target.
    """
    kept = plan.labels(TARGET, Purpose.HOLDOUT) + plan.labels(TARGET, Purpose.VALIDATION)
    most = plan.recipe.allocation.most_target + plan.imported.get(TARGET, 0)
    target = max(counts.target, most - kept)
    worth = plan.labels(MIDDLE, Purpose.TRAIN) > 0 and MIDDLE in learnt_tiers(plan.recipe)
    middle = int(plan.recipe.allocation.middle_per_target * target) if worth else counts.middle
    top = Counts(target, middle, counts.cheap).at_most(counts.plus(offered))
    return Limits(Counts(0), top.at_least(counts), counts)


def costs_since(plan: Plan, tally: Sequence[TierTally]) -> Costs:
    """What a label costs by now, failures included: the plan's cost and what was paid since."""
    score = Score.of(tally)
    target, middle, cheap = (
        score.price(tier, plan.tier(tier).core_seconds) for tier in (TARGET, MIDDLE, Tier.XTB)
    )
    return Costs(target, middle, cheap)
