"""How large rounds are and when one may train: pure functions of counts and plans.

`Counts` are training labels, calibration included; what is returned are increments.
"""

from forgefield.platform.forecasting.counts import Counts
from forgefield.platform.planning.allocation import TARGET
from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.planned_labels import bought_target
from forgefield.platform.planning.round_settings import RoundSettings
from forgefield.storage.records import Purpose, Tier

LabelKind = tuple[Tier, Purpose]
LEAST_FIRST = 8
"""Target-tier labels that even the first round trains on, where the plan has them."""


def goes_in_rounds(plan: Plan, settings: RoundSettings) -> bool:
    """Whether enough target labels are bought that watching them come pays."""
    return settings.number(bought_target(plan)) > 0


def first_buy(planned: Counts, at_hand: Counts, settings: RoundSettings) -> Counts:
    """What round 0 adds to calibration and imports: a share of the dear labels, all cheap ones."""
    share = settings.first_share
    target = min(planned.target, max(LEAST_FIRST, round(share * planned.target)))
    return Counts(target, round(share * planned.middle), planned.cheap).beyond(at_hand)


def largest_buy(counts: Counts, settings: RoundSettings) -> Counts:
    """The most that the next round may add at each tier that rounds buy."""
    most = max(1, round(settings.growth * counts.target))
    return Counts(most, max(most, round(settings.growth * counts.middle)))


def ahead_buy(counts: Counts, expected: Counts, settings: RoundSettings) -> Counts:
    """Random labels of what the next round is `expected` to buy, to be bought while this trains."""
    most = largest_buy(counts, settings).at_most(expected)
    return Counts(int(settings.ahead * most.target), int(settings.ahead * most.middle))


def may_train(
    wanted: int, settled: int, queued: int, patience: float, *, needed: int = 0, failed: int = 0
) -> bool:
    """Whether all labels of a kind are settled, but for a few slow ones that are at work.

    With any patience one of several may be slow, none while fewer than the `needed` ones are there.
    Of the settled ones so many have `failed`.
    """
    slow = max(1, int(patience * wanted)) if patience and wanted > 1 else 0
    at_work = wanted - settled
    return queued == 0 and (at_work == 0 or (at_work <= slow and settled - failed >= needed))


def first_needs(plan: Plan) -> dict[LabelKind, int]:
    """Labels to be bought that no first training does without."""
    at_hand = plan.labels(TARGET, Purpose.CALIBRATION) + plan.imported[TARGET]
    return {
        (TARGET, Purpose.TRAIN): LEAST_FIRST - at_hand,
        (TARGET, Purpose.VALIDATION): plan.recipe.allocation.fewest_validation,
    }


def random_half(count: int) -> int:
    """Of a round's labels of a tier those that are taken at random."""
    return (count + 1) // 2
