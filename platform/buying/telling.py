"""Shows where labelling stands: a few times a second, and whenever nothing can be bought."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from forgefield.platform.buying.asking import Asking, Order
from forgefield.platform.buying.crew import Crew
from forgefield.platform.buying.flights import Flights
from forgefield.platform.buying.purchasing import Claim
from forgefield.platform.buying.purse import Purse
from forgefield.platform.buying.score import Score
from forgefield.platform.screen.label_progress import LabelProgress
from forgefield.storage.records import Tier

TELL_EVERY_S = 0.1

Watcher = Callable[[LabelProgress], None]


class Telling:
    """Makes a `LabelProgress` for the watcher from what the dispatcher's parts know."""

    def __init__(
        self, crew: Crew, score: Score, flights: Flights, asking: Asking, watch: Watcher
    ) -> None:
        self._crew, self._score, self._flights, self._asking = crew, score, flights, asking
        self._watch = watch
        self._told = crew.now()

    def tell(self, orders: Sequence[Order], purse: Purse, *, now: bool) -> None:
        """Show it; without `now` only if that is some time ago."""
        if not now and self._crew.now() - self._told < TELL_EVERY_S:
            return
        self._told = self._crew.now()
        queued: Counter[Tier] = Counter()
        for order in orders:
            queued[order.tier] += 0 if order.claim is Claim.SPARE else len(order.jobs)
        flights = self._flights
        seen = self._score.progress(flights.labels.copy(), queued, purse.left, flights.cores)
        self._watch(replace(seen, waiting="" if flights else self._asking.waiting_for))
