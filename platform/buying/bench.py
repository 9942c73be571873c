"""Places with nothing to do, and where each tier's worker is ready.

Workers load while others label: nobody waits for them but their own place. A place whose worker
dies while loading, or takes too long, is given up, the last one with an error. A place may be
withdrawn for a while, to be lent out: what runs there ends first. Only `withdraw` takes longer with
more places.
"""

import logging
from dataclasses import dataclass

from forgefield.platform.buying.crew import Crew, Ended
from forgefield.storage.errors import StorageError
from forgefield.storage.records import Tier

LOAD_PATIENCE_S = 600.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Load:
    """A worker that is loading its libraries."""

    place: int
    tier: Tier
    deadline: float


class Bench:
    """The crew's places while they are free; ordered, who rests longest comes first."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._staff = set(crew.places)
        self._idle = dict.fromkeys(crew.places)
        self._ready: dict[Tier, dict[int, None]] = {tier: {} for tier in Tier}
        self._loaded: dict[int, set[Tier]] = {place: set() for place in crew.places}
        self._withdrawn: set[int] = set()
        self._busy: set[int] = set()
        self._loading: dict[int, Load] = {}
        self._loads = dict.fromkeys(Tier, 0)

    @property
    def is_empty(self) -> bool:
        """Whether all places are busy."""
        return not self._idle

    @property
    def is_in_service(self) -> bool:
        """Whether some place is neither lent out nor given up."""
        return not self._staff <= self._withdrawn

    @property
    def is_loading(self) -> bool:
        """Whether some workers are loading."""
        return bool(self._loading)

    def is_ready(self, tier: Tier) -> bool:
        """Whether a worker of a tier has nothing to do."""
        return bool(self._ready[tier])

    def loads(self, tier: Tier) -> int:
        """Workers of a tier that are loading."""
        return self._loads[tier]

    def take(self, tier: Tier) -> int | None:
        """A free place whose worker of this tier is ready, busy from now on."""
        place = next(iter(self._ready[tier]), None)
        if place is not None:
            self._leave(place)
        return place

    def rest(self, place: int) -> None:
        """A place is free again, unless it was withdrawn meanwhile or is given up."""
        self._busy.discard(place)
        if place in self._withdrawn:
            self._loaded[place].clear()
        elif place in self._staff:
            self._idle[place] = None
            for tier in self._loaded[place]:
                self._ready[tier][place] = None

    def load(self, tier: Tier) -> None:
        """Have the first free place load a worker."""
        place = next(iter(self._idle))
        self._leave(place)
        self._begin(place, tier)

    def load_all(self) -> None:
        """Have all free places load workers of all their tiers."""
        for place in list(self._idle):
            self._leave(place)
            for tier in self._crew.tiers(place):
                self._begin(place, tier)

    def withdraw(self, place: int) -> bool:
        """Give a place no more work; whether nothing runs there, so that its workers may go."""
        self._withdrawn.add(place)
        if place in self._idle:
            self._leave(place)
            self.rest(place)
        loading = any(load.place == place for load in self._loading.values())
        return not loading and place not in self._busy

    def restore(self, place: int) -> None:
        """Use a place again that was withdrawn; a label that still runs there goes on."""
        if place in self._withdrawn:
            self._withdrawn.discard(place)
            if place not in self._busy:
                self.rest(place)

    def lost(self, place: int, tier: Tier) -> None:
        """A busy place has lost a worker."""
        self._loaded[place].discard(tier)

    def arrived(self, ended: Ended) -> None:
        """A worker has loaded or died of it; raises its trouble. Other tickets are passed over."""
        load = self._loading.get(ended.ticket)
        if load is None:
            return
        self._end(ended.ticket)
        if ended.trouble is not None:
            raise ended.trouble
        if ended.died:
            self._give_up(load, "died while loading")
        elif load.place in self._staff:
            self._loaded[load.place].add(load.tier)
            self.rest(load.place)

    def give_up_late(self, now: float) -> None:
        """Give up the places whose workers have loaded for too long; oldest loads come first."""
        while self._loading:
            ticket, load = next(iter(self._loading.items()))
            if load.deadline >= now:
                return
            self._end(ticket)
            self._give_up(load, f"hasn't loaded within {LOAD_PATIENCE_S:.0f} s")

    def _begin(self, place: int, tier: Tier) -> None:
        ticket = self._crew.load(place, tier)
        self._loading[ticket] = Load(place, tier, self._crew.now() + LOAD_PATIENCE_S)
        self._loads[tier] += 1

    def _end(self, ticket: int) -> None:
        self._loads[self._loading.pop(ticket).tier] -= 1

    def _leave(self, place: int) -> None:
        del self._idle[place]
        self._busy.add(place)
        for tier in self._loaded[place]:
            del self._ready[tier][place]

    def _give_up(self, load: Load, why: str) -> None:
        logger.warning("a %s worker of slot %d %s", load.tier, load.place, why)
        self._crew.kill(load.place, load.tier)
        self._staff.discard(load.place)
        if load.place in self._idle:
            self._leave(load.place)
        self._busy.discard(load.place)
        if not self._staff:
            raise StorageError("No worker can be started any more; see Ray's dashboard for why.")
