"""Labels that take longer than was reserved for them: more a few times, then no more.

Only what is past its deadline is looked at, however much is in flight.
"""

from dataclasses import replace

from forgefield.platform.buying.crew import Crew
from forgefield.platform.buying.flights import Flights, InFlight
from forgefield.platform.buying.ledger_service import LedgerClient
from forgefield.platform.buying.purse import Purse
from forgefield.platform.planning.recipe import LabelSettings
from forgefield.storage.errors import BudgetExhausted
from forgefield.storage.units import from_micro

LOOK_AGAIN_S = 0.5


class Overruns:
    """Extends what is worth its time, and hands out what is to be ended."""

    def __init__(
        self,
        crew: Crew,
        ledger: LedgerClient,
        flights: Flights,
        purse: Purse,
        settings: LabelSettings,
    ) -> None:
        self._crew, self._ledger = crew, ledger
        self._flights, self._purse = flights, purse
        self._settings = settings

    def hopeless(self) -> list[InFlight]:
        """Flights that are to be ended, in flight no longer; others may have been extended."""
        now = self._crew.now()
        return [
            flight
            for ticket, flight in list(self._flights.overdue(now))
            if not self._may_go_on(ticket, flight, now)
        ]

    def _may_go_on(self, ticket: int, flight: InFlight, now: float) -> bool:
        if self._crew.has_ended(ticket) or self._is_extended(ticket, flight):
            return True
        if now < flight.deadline + self._settings.grace_s:
            self._flights.look_again(ticket, now + LOOK_AGAIN_S)
            return True
        self._flights.pop(ticket)
        return False

    def _is_extended(self, ticket: int, flight: InFlight) -> bool:
        """More money and time for a label on a slow machine, if patience and budget have it."""
        if flight.extensions == self._settings.extensions:
            return False
        more = flight.micro // (1 + flight.extensions)
        try:
            self._ledger.extend(flight.reservation, more)
        except BudgetExhausted:
            return False
        self._purse.reserved(more)
        self._flights.pop(ticket)
        longer = replace(
            flight,
            micro=flight.micro + more,
            deadline=flight.deadline + from_micro(more) / flight.threads,
            extensions=flight.extensions + 1,
        )
        self._flights.add(ticket, longer)
        return True
