"""What a campaign in rounds may label: the plan's own orders, told apart by when they are bought.

Firm orders (cheap tiers, hold-out, validation) are bought in round 0 whatever training says. The
training labels of target and middle tier are a supply in random order that rounds draw from, and
at the end what the plan would have topped up with.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from forgefield.platform.buying.asking import Order
from forgefield.platform.buying.orders import campaign_orders, judging_geometries
from forgefield.platform.buying.purchasing import Claim
from forgefield.platform.forecasting.counts import Counts
from forgefield.platform.planning.allocation import MIDDLE, TARGET
from forgefield.platform.planning.plan import Plan
from forgefield.platform.pools.pool import Pool
from forgefield.storage.records import Array, Job, Method, Tier

DEAR = (TARGET, MIDDLE)
"""Tiers that rounds buy, dearest first."""


@dataclass(frozen=True, slots=True)
class Supply:
    """Firm orders, and by tier the training jobs of the pool in their random order.

    Orders lose their jobs as they are bought; `first` keeps those of the firm ones.
    """

    firm: tuple[Order, ...]
    first: tuple[Job, ...]
    jobs: dict[Tier, tuple[Job, ...]]
    spare: tuple[Order, ...]
    kept: tuple[Array, ...] = field(repr=False)

    @classmethod
    def of(
        cls, pool: Pool, plan: Plan, known: Callable[[Sequence[Job]], Collection[str]]
    ) -> "Supply":
        """The orders of a plan; `kept` are hold-out and validation geometries, (A, 3) each."""
        orders = campaign_orders(pool, plan, known)
        firm = tuple(order for order in orders if order.claim is Claim.FIRM)
        return cls(
            firm=firm,
            first=tuple(job for order in firm for job in order.jobs),
            jobs={tier: _training(orders, tier) for tier in DEAR},
            spare=tuple(order for order in orders if order.claim is Claim.SPARE),
            kept=judging_geometries(firm),
        )

    def offered(self, taken: Collection[str]) -> Counts:
        """Configurations of the pool that aren't taken."""
        target, middle = (sum(job.key() not in taken for job in self.jobs[tier]) for tier in DEAR)
        return Counts(target, middle)

    def methods(self, plan: Plan) -> dict[Tier, Method]:
        """The plan's method of each tier that rounds buy."""
        return {tier: Method(tier, plan.tier(tier).method) for tier in DEAR}


def _training(orders: Sequence[Order], tier: Tier) -> tuple[Job, ...]:
    """Planned jobs, then those of the top-up, each once."""
    jobs = (job for o in orders if o.tier == tier and o.claim is not Claim.FIRM for job in o.jobs)
    return tuple({job.key(): job for job in jobs}.values())
