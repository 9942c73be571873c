"""What a run orders: which configurations of its pool serve for what.

The pool comes in random order, is saved, and then only sliced: calibration | hold-out |
validation | training. So a resumed run buys the same geometries, and no hold-out or validation
geometry is ever labelled at another tier.
"""

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence

from forgefield.platform.buying.dispatch import Order
from forgefield.platform.buying.purchasing import Claim
from forgefield.platform.planning.allocation import CHEAP, MIDDLE, TARGET
from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.planning.tier_quotes import TierCost
from forgefield.platform.pools.pool import Pool
from forgefield.platform.pools.sizes import refuse_small_pool
from forgefield.storage.records import Array, Job, Method, Purpose, Tier

JUDGING = (Purpose.HOLDOUT, Purpose.VALIDATION)
TOP_UP = 1000
"""Most configurations offered to a tier beyond its planned ones, while money is left."""


def calibration_orders(pool: Pool, recipe: Recipe, costs: Mapping[Tier, TierCost]) -> list[Order]:
    """The first configurations at every tier, dearest first, reserved at the worst estimate."""
    count = recipe.allocation.calibration
    return [
        Order(
            pool.jobs(_method(recipe, tier), Purpose.CALIBRATION, 0, count(tier)),
            count(tier),
            tier,
            costs[tier].high,
            Claim.FIRM,
        )
        for tier in reversed(Tier)
    ]


def campaign_orders(
    pool: Pool, plan: Plan, known: Callable[[Sequence[Job]], Collection[str]] = lambda _: ()
) -> list[Order]:
    """All labels of the plan in the order of wishes, then the optional top-up.

    The cheap tiers are over in seconds and come first; then the hold-out, validation and
    training labels of the target tier, so that what fills the last idle cores is short.
    Geometries of middle-tier labels follow those of the target tier as long as the pool lasts, but
    before them come those that the label book has: `known` gives the keys of such jobs.
    """
    refuse_small_pool(pool, plan)
    holdout, validation, targets = (
        plan.labels(TARGET, p) for p in (Purpose.HOLDOUT, Purpose.VALIDATION, Purpose.TRAIN)
    )
    middles = plan.labels(MIDDLE, Purpose.TRAIN)
    holdout_at = max(plan.labels(tier, Purpose.CALIBRATION) for tier in Tier)
    validation_at = holdout_at + holdout
    train_at = validation_at + validation
    shared = MIDDLE not in pool.apart and train_at + targets + middles <= len(pool)
    middle_at = train_at + targets if shared else train_at

    def order(tier: Tier, purpose: Purpose, start: int, count: int, claim: Claim) -> Order:
        jobs = pool.jobs(_method(plan.recipe, tier), purpose, start, count)
        return Order(jobs, len(jobs), tier, plan.tier(tier).core_seconds, claim)

    middle_jobs = _known_first(pool, plan, (train_at, middle_at), known)

    def middle_order(jobs: Sequence[Job], claim: Claim) -> Order:
        return Order(deque(jobs), len(jobs), MIDDLE, plan.tier(MIDDLE).core_seconds, claim)

    firm, elastic, spare = Claim.FIRM, Claim.ELASTIC, Claim.SPARE
    train, more = Purpose.TRAIN, _room_for(plan)
    return [
        *(order(tier, train, train_at, plan.labels(tier, train), firm) for tier in CHEAP),
        order(TARGET, Purpose.HOLDOUT, holdout_at, holdout, firm),
        order(TARGET, Purpose.VALIDATION, validation_at, validation, firm),
        order(TARGET, train, train_at, targets, elastic),
        middle_order(middle_jobs[:middles], elastic),
        order(TARGET, train, train_at + targets, more, spare),
        middle_order(middle_jobs[middles : middles + more], spare),
    ]


def judging_geometries(orders: Sequence[Order]) -> tuple[Array, ...]:
    """Positions (A, 3), Å, of what the hold-out and the validation labels are of."""
    jobs = (job for order in orders for job in order.jobs if job.purpose in JUDGING)
    return tuple(job.configuration.positions_A3 for job in jobs)


def _known_first(
    pool: Pool,
    plan: Plan,
    starts: tuple[int, int],
    known: Callable[[Sequence[Job]], Collection[str]],
) -> list[Job]:
    """Middle-tier jobs on training geometries: those in the book, then the others in turn."""
    train_at, middle_at = starts
    jobs = list(
        pool.jobs(_method(plan.recipe, MIDDLE), Purpose.TRAIN, train_at, len(pool.of(MIDDLE)))
    )
    keys = known(jobs)
    free = [job for job in jobs if job.key() in keys]
    return free + [job for job in jobs[middle_at - train_at :] if job.key() not in keys]


def _room_for(plan: Plan) -> int:
    """Labels of the top-up: none where the plan stopped short of the budget by choice."""
    return min(TOP_UP, plan.recipe.allocation.most_target - plan.tier(TARGET).total)


def _method(recipe: Recipe, tier: Tier) -> Method:
    return Method(tier, recipe.methods.of(tier))
