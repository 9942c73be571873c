"""What to buy next, from sums that are kept up to date: no decision counts anything again."""

from collections.abc import Sequence

from forgefield.platform.buying.asking import Order
from forgefield.platform.buying.flights import Flights
from forgefield.platform.buying.purchasing import (
    LARGEST_BATCH,
    Buy,
    Money,
    Need,
    Pause,
    next_purchase,
)
from forgefield.platform.buying.purse import Purse
from forgefield.platform.buying.score import Score
from forgefield.platform.planning.recipe import LabelSettings
from forgefield.storage.units import from_micro


class Deciding:
    """`next_purchase` for the state that a dispatcher is in."""

    def __init__(
        self, score: Score, flights: Flights, purse: Purse, settings: LabelSettings
    ) -> None:
        self._score, self._flights, self._purse = score, flights, purse
        self._settings = settings

    def choose(self, orders: Sequence[Order]) -> Buy | Pause:
        """The next purchase; before it is nothing for want of money, the ledger is asked."""
        needs = [self._need(order) for order in orders]
        choice = next_purchase(needs, self._money(), self._settings)
        is_wanted = any(need.labels for need in needs)
        if isinstance(choice, Pause) and is_wanted and self._purse.is_guess:
            self._purse.ask()
            choice = next_purchase(needs, self._money(), self._settings)
        return choice

    def expected_cost(self, order: Order) -> float:
        """Core-seconds now expected of a label of an order that succeeds."""
        return self._score.cost(order.tier, order.core_seconds)

    def _money(self) -> Money:
        alike = self._flights.alike.items()
        expected = sum(n * self._score.price(tier, planned) for (tier, planned), n in alike if n)
        returning = max(0.0, from_micro(self._flights.micro) - expected)
        return Money(self._purse.left, returning, in_flight=bool(self._flights))

    def _need(self, order: Order) -> Need:
        cost, most = self.expected_cost(order), 1 if order.alone else LARGEST_BATCH
        lost = self._score.loss(order.tier)
        return Need(order.tier, len(order.jobs), order.planned, cost, order.claim, most, lost)
