"""What is in flight: reservations at work, the sums over them that decisions need, who is overdue.

No call takes longer than the logarithm of their number, and the sums are exact: money is counted
in integer micro core-seconds, as in the ledger.
"""

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from forgefield.platform.buying.asking import Order
from forgefield.storage.records import Job, Tier
from forgefield.storage.units import from_micro


@dataclass(frozen=True, slots=True)
class InFlight:
    """One reservation of `micro` core-seconds at work at a place, on so many `threads`."""

    place: int
    order: Order
    jobs: tuple[Job, ...]
    reservation: int
    micro: int
    threads: int
    deadline: float
    extensions: int = 0

    @property
    def core_seconds(self) -> float:
        """What is reserved."""
        return from_micro(self.micro)


class Flights:
    """All that is in flight, by ticket."""

    def __init__(self) -> None:
        self._flights: dict[int, InFlight] = {}
        self._due: list[tuple[float, int]] = []
        self.labels: Counter[Tier] = Counter()
        self.alike: Counter[tuple[Tier, float]] = Counter()
        """Labels by tier and planned core-seconds: they are expected to cost the same."""
        self.micro = 0
        self.cores = 0

    def __len__(self) -> int:
        return len(self._flights)

    def add(self, ticket: int, flight: InFlight) -> None:
        """Something has begun."""
        self._flights[ticket] = flight
        heapq.heappush(self._due, (flight.deadline, ticket))
        self._count(flight, 1)

    def pop(self, ticket: int) -> InFlight | None:
        """Something has ended; `None` for what is not, or no longer, in flight."""
        flight = self._flights.pop(ticket, None)
        if flight is not None:
            self._count(flight, -1)
        return flight

    def overdue(self, now: float) -> Iterator[tuple[int, InFlight]]:
        """What is past its deadline; each is told once, unless `look_again` says when next."""
        while self._due and self._due[0][0] < now:
            _, ticket = heapq.heappop(self._due)
            if ticket in self._flights:
                yield ticket, self._flights[ticket]

    def look_again(self, ticket: int, when: float) -> None:
        """Tell of an overdue flight once more."""
        heapq.heappush(self._due, (when, ticket))

    def _count(self, flight: InFlight, sign: int) -> None:
        count, tier = sign * len(flight.jobs), flight.order.tier
        self.labels[tier] += count
        self.alike[tier, flight.order.core_seconds] += count
        self.micro += sign * flight.micro
        self.cores += sign * flight.threads
