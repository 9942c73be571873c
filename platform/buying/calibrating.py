"""Which labels measure what a label costs here, where some of them need not be bought.

A calibration label that is in the book is taken at no cost. What it cost elsewhere counts as a
measurement only if it was made on this host with as many threads as labels have here, and was paid
for there (one that a run took over from a book cost it nothing); for every other one, a
configuration from the end of the pool is bought in its place.
"""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from forgefield.platform.buying.asking import Order
from forgefield.platform.buying.ledger_service import LedgerClient
from forgefield.platform.pools.pool import Pool
from forgefield.storage.records import Job, Purpose, Tier


@dataclass(frozen=True, slots=True)
class Calibration:
    """Orders to buy, and the core-seconds of labels that were measured here by earlier runs."""

    orders: Sequence[Order]
    measured: Mapping[Tier, tuple[float, ...]] = field(default_factory=dict)


def measurable(
    orders: Sequence[Order], pool: Pool, ledger: LedgerClient, threads: int
) -> Calibration:
    """The calibration orders, each with a replacement for every label that measures nothing."""
    measured = {}
    for order in orders:
        known = [k for k in ledger.known_labels(list(order.jobs)) if not k.own]
        own = platform.node(), threads
        here = [k for k in known if (k.host, k.threads) == own and k.core_seconds > 0]
        measured[order.tier] = tuple(each.core_seconds for each in here)
        fresh = _fresh(order, pool, ledger, len(known) - len(here))
        order.jobs.extend(fresh)
        order.planned += len(fresh)
    return Calibration(orders, measured)


def _fresh(order: Order, pool: Pool, ledger: LedgerClient, count: int) -> list[Job]:
    """Jobs from the end of the pool that no other run has bought; fewer where it is short.

    Those that this run has bought come first: it was killed after it, and the pool has grown since.
    """
    if not count:
        return []
    begin, method = len(order.jobs), order.jobs[0].method
    beyond = len(pool.of(order.tier)) - begin
    jobs = list(pool.jobs(method, Purpose.CALIBRATION, begin, beyond))[::-1]
    own_by_key = {known.key: known.own for known in ledger.known_labels(jobs)}
    ours = [job for job in jobs if own_by_key.get(job.key())]
    unknown = [job for job in jobs if job.key() not in own_by_key]
    return [*ours, *unknown][:count]
