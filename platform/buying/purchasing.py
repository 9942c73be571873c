"""What to buy next, and what to do when a label fails: pure policies over plain values.

The order of needs is the order of wishes. While money is short, firm needs (hold-out, validation)
keep what they cost, elastic ones (training labels) share the rest in proportion, and spare ones
(the top-up at the end) get what would otherwise be left over. So an expensive tier that runs over
its estimate neither starves the others nor leaves money unspent.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from forgefield.platform.planning.recipe import LabelSettings
from forgefield.storage.ledger.entries import JobState, State
from forgefield.storage.records import Tier
from forgefield.storage.units import from_micro

TIGHTEST_LIMIT = 1.3
"""A label is not started with less money than this multiple of its expected cost."""
LARGEST_BATCH = 1_000_000
CAN_BE_RETRIED = frozenset({"TransientFailure"})
"""Failures that may go differently the next time."""
HOPELESS = frozenset({"BadConfiguration", "NotConverged"})
"""Failures that a new start of the run doesn't mend."""
CAN_BE_OUTGROWN = frozenset({"NeedsLargerMachine"})
"""Failures that more time mends, or more memory, which is missed before anything is spent."""
MORE = 1.25
"""So many times the time it had in vain makes it worth another try."""


class Claim(Enum):
    """What a need may count on while others buy."""

    FIRM = "all of its cost"
    ELASTIC = "its share of what firm needs leave"
    SPARE = "nothing"


@dataclass(frozen=True, slots=True)
class Need:
    """Labels still wanted of `planned`, at the cost now expected of each (core-seconds).

    Failures are expected to take `lost` more for each: no label's limit grows by it, what is set
    aside for all of them does.
    """

    tier: Tier
    labels: int
    planned: int
    core_seconds: float
    claim: Claim = Claim.ELASTIC
    most_at_once: int = LARGEST_BATCH
    lost: float = 0.0

    @property
    def price(self) -> float:
        """Core-seconds of one, failures included."""
        return self.core_seconds + self.lost

    @property
    def cost(self) -> float:
        """Core-seconds expected for all of them."""
        return self.labels * self.price


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


@dataclass(frozen=True, slots=True)
class Money:
    """Core-seconds `left` to reserve now, and `returning` soon from what is in flight."""

    left: float
    returning: float = 0.0
    in_flight: bool = False


def next_purchase(needs: Sequence[Need], money: Money, settings: LabelSettings) -> Buy | Pause:
    """The first need with room beside what others count on, else the first that fits at all."""
    total = money.left + money.returning
    claims = _claims(needs, total)
    spoken_for = sum(claims)
    rooms = [total - spoken_for + claim for claim in claims]
    for room_for in (rooms, [total] * len(needs)):
        for index, need in enumerate(needs):
            purchase = _fitting(index, need, room_for[index], settings)
            if purchase is None:
                continue
            if purchase.core_seconds <= money.left:
                return purchase
            tight = TIGHTEST_LIMIT * purchase.labels * need.core_seconds
            if tight <= money.left:
                return replace(purchase, core_seconds=money.left)
            if money.in_flight:
                return Pause.WAIT
    return Pause.STOP


def _claims(needs: Sequence[Need], total: float) -> list[float]:
    """What each need may still count on: firm ones their cost, elastic ones a fair share.

    The share is of what all elastic needs were planned to cost, so that it does not matter
    which of them buys first.
    """
    firm = sum(need.cost for need in needs if need.claim is Claim.FIRM)
    elastic = [need for need in needs if need.claim is Claim.ELASTIC]
    planned = sum(need.planned * need.price for need in elastic)
    bought = planned - sum(need.cost for need in elastic)
    share = min(1.0, max(0.0, total - firm + bought) / planned) if planned else 0.0
    return [_claim(need, share) for need in needs]


def _claim(need: Need, share: float) -> float:
    if need.claim is Claim.FIRM:
        return need.cost
    if need.claim is Claim.SPARE:
        return 0.0
    return max(0.0, need.cost - (1 - share) * need.planned * need.price)


def _fitting(index: int, need: Need, room: float, settings: LabelSettings) -> Buy | None:
    labels = min(need.labels, need.most_at_once, batch_size(need.core_seconds, settings))
    expected = labels * need.core_seconds
    if labels == 0 or expected > room * (1 + 1e-9):
        return None
    return Buy(index, labels, limit_seconds(expected, settings))


def batch_size(core_seconds: float, settings: LabelSettings) -> int:
    """Labels of one reservation: one for expensive tiers, many for cheap ones."""
    wanted = int(settings.batch_core_seconds / max(core_seconds, 1e-9))
    return max(1, min(settings.largest_batch, wanted))


def limit_seconds(expected: float, settings: LabelSettings) -> float:
    """Core-seconds reserved for, and allowed to, labels expected to take `expected`."""
    return settings.limit_factor * expected + settings.limit_extra_s


def longest_seconds(expected: float, settings: LabelSettings) -> float:
    """Core-seconds that a single label expected to take `expected` may take, extensions included.

    They are granted while the budget has them.
    """
    return limit_seconds(expected, settings) * (1 + settings.extensions)


def running_cost(planned: float, prior_labels: int, spent: float, labels: int) -> float:
    """Expected cost a label: the plan's, updated by what labels have cost since."""
    return (planned * prior_labels + spent) / (prior_labels + labels)


def is_worth_retrying(kind: str, attempts: int, settings: LabelSettings) -> bool:
    """Only what may go differently next time is tried again, a stated number of times."""
    return kind in CAN_BE_RETRIED and attempts < settings.attempts


def is_open(state: JobState | None, longest: float) -> bool:
    """Whether a job that an earlier start may have tried is still to be bought.

    What its method can't do isn't, nor what took about the `longest` core-seconds that it may take.
    """
    if state is None or state.state is not State.FAILED:
        return state is None or state.state is State.WAITING
    kind = "" if state.failure is None else state.failure.kind
    if kind in CAN_BE_OUTGROWN:
        return longest >= MORE * from_micro(state.lost_micro)
    return kind not in HOPELESS


def is_wave(failed: int, done: int, settings: LabelSettings) -> bool:
    """So many failures that the cause is not the configurations."""
    return failed >= settings.wave and failed > done
