"""Splits of a sum of money: which are allowed, and a grid of them that can be drawn together.

Two coordinates in [0, 1] make a split: the share of the money that the target tier gets, and the
level of the cheap tier, whose number runs over orders of magnitude. The middle tier takes the rest,
and what doesn't buy one of its labels goes to the others. Costs are core-seconds.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from forgefield.platform.forecasting.counts import Costs, Counts
from forgefield.storage.errors import InputError

NONE, FEWEST, MOST = Counts(0), Counts(2), Counts(10_000, 100_000, 2000)
SHARES, LEVELS = 17, 7


@dataclass(frozen=True, slots=True)
class Limits:
    """Least and most labels of each tier, and those that are there already."""

    fewest: Counts = FEWEST
    most: Counts = MOST
    have: Counts = NONE

    def __post_init__(self) -> None:
        if not self.most.covers(self.fewest):
            raise InputError(
                f"At least {self.fewest.triple} labels (target, middle, cheap) and at most "
                f"{self.most.triple} can't both hold. Raise the second or lower the first."
            )

    @property
    def least(self) -> Counts:
        """What any split has."""
        return self.fewest.at_least(self.have)

    @property
    def top(self) -> Counts:
        """What no split exceeds."""
        return self.most.at_least(self.have)


def grid(centre: tuple[float, float], width: tuple[float, float]) -> Iterator[tuple[float, float]]:
    """(share of the target tier, level of the cheap one), in [0, 1]² around `centre`."""
    for share in _ticks(centre[0], width[0], SHARES):
        for level in _ticks(centre[1], width[1], LEVELS):
            yield share, level


def _ticks(centre: float, width: float, count: int) -> list[float]:
    ticks = np.linspace(centre - width / 2, centre + width / 2, count)
    return [float(tick) for tick in np.unique(ticks.clip(0, 1))]


def spent(spare: float, costs: Costs, limits: Limits, share: float, level: float) -> Counts:
    """All of `spare` beyond the least: cheap labels, the target's share, the middle, and rests."""
    least, top = limits.least, limits.top
    room = top.beyond(least)
    cheap = round((1 + fitting(spare, costs.cheap, room.cheap)) ** level - 1)
    spare -= cheap * costs.cheap
    target = fitting(spare * share, costs.target, room.target)
    spare -= target * costs.target
    middle = fitting(spare, costs.middle, room.middle)
    spare -= middle * costs.middle
    rest = fitting(spare, costs.target, room.target - target)
    spare -= rest * costs.target
    cheap += fitting(spare, costs.cheap, room.cheap - cheap)
    return least.plus(Counts(target + rest, middle, cheap))


def fitting(money: float, cost: float, most: int) -> int:
    """Labels that money buys; where it is a whole number of them but for rounding, that number."""
    if cost == 0:
        return most
    return max(0, min(most, int(money / cost + 1e-9)))
