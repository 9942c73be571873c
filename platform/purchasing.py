"""What to buy next, and what to do when a label fails: pure policies over plain values.

The order of needs is the order of wishes. A need may only use money that no other required
need is counting on, so an expensive tier that runs over its estimate can't starve the others,
and optional needs (the top-up at the end) only get what would otherwise be left over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from forgefield.platform.recipe import LabelSettings
from forgefield.storage.records import Tier

TIGHTEST_LIMIT = 1.3
"""A label is not started with less money than this multiple of its expected cost."""
CAN_BE_RETRIED = frozenset({"TransientFailure"})


@dataclass(frozen=True, slots=True)
class Need:
    """Labels still wanted of one order, at the cost now expected of each (core-seconds)."""

    tier: Tier
    labels: int
    core_seconds: float
    optional: bool = False

    @property
    def cost(self) -> float:
        """Core-seconds expected for all of them."""
        return self.labels * self.core_seconds


@dataclass(frozen=True, slots=True)
class Buy:
    """Reserve `core_seconds` for `labels` of need number `need`."""

    need: int
    labels: int
    core_seconds: float


class Pause(Enum):
    """Nothing can be bought now."""

    WAIT = "what is in flight may give money back"
    STOP = "all is bought, or nothing fits any more"


def next_purchase(
    needs: Sequence[Need], left: float, *, in_flight: bool, settings: LabelSettings
) -> Buy | Pause:
    """The first need that fits into what is left beside all other required needs."""
    required = sum(need.cost for need in needs if not need.optional)
    for index, need in enumerate(needs):
        spoken_for = required if need.optional else required - need.cost
        purchase = _fitting(index, need, left - spoken_for, settings)
        if purchase is not None:
            return purchase
    return Pause.WAIT if in_flight and any(need.labels for need in needs) else Pause.STOP


def _fitting(index: int, need: Need, free: float, settings: LabelSettings) -> Buy | None:
    labels = min(need.labels, batch_size(need.core_seconds, settings))
    if labels == 0:
        return None
    expected = labels * need.core_seconds
    amount = min(limit_seconds(expected, settings), free)
    return Buy(index, labels, amount) if amount >= TIGHTEST_LIMIT * expected else None


def batch_size(core_seconds: float, settings: LabelSettings) -> int:
    """Labels of one reservation: one for expensive tiers, many for cheap ones."""
    wanted = int(settings.batch_core_seconds / max(core_seconds, 1e-9))
    return max(1, min(settings.largest_batch, wanted))


def limit_seconds(expected: float, settings: LabelSettings) -> float:
    """Core-seconds reserved for, and allowed to, labels expected to take `expected`."""
    return settings.limit_factor * expected + settings.limit_extra_s


def running_cost(planned: float, prior_labels: int, spent: float, labels: int) -> float:
    """Expected cost a label: the plan's, updated by what labels have cost since."""
    return (planned * prior_labels + spent) / (prior_labels + labels)


def is_worth_retrying(kind: str, attempts: int, settings: LabelSettings) -> bool:
    """Only what may go differently next time is tried again, a stated number of times."""
    return kind in CAN_BE_RETRIED and attempts < settings.attempts


def is_wave(failed: int, done: int, settings: LabelSettings) -> bool:
    """So many failures that the cause is not the configurations."""
    return failed >= settings.wave and failed > done
