"""A crew of Ray actors, one a slot and tier.

Ray tells of each end by itself (a callback puts it into a queue), so that waiting costs the same
for two slots and for ten thousand. Exceptions become what people can act on here.
"""

import itertools
import time
from collections.abc import Collection, Sequence
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from forgefield.platform.buying.crew import Crew, Ended
from forgefield.platform.buying.slots import Slot
from forgefield.platform.buying.workers import Worked
from forgefield.storage.errors import ForgefieldError, StorageError
from forgefield.storage.records import Job, Tier


class RayCrew(Crew):
    """Workers in Ray's slots; see `Crew`."""

    def __init__(self, slots: Sequence[Slot]) -> None:
        self._slots = {slot.index: slot for slot in slots}
        self._tickets = itertools.count(1)
        self._at_work: dict[int, Future[Any]] = {}
        self._over: SimpleQueue[int] = SimpleQueue()

    @property
    def places(self) -> Sequence[int]:
        """The slots' indices."""
        return list(self._slots)

    def tiers(self, place: int) -> Collection[Tier]:
        """The tiers that a slot knows the methods of."""
        return self._slots[place].work.keys()

    def threads(self, place: int, tier: Tier) -> int:
        """Threads of a label."""
        return self._slots[place].work[tier].threads

    def load(self, place: int, tier: Tier) -> int:
        """Start a worker if there is none, and wait for it."""
        return self._follow(self._slots[place].loading(tier))

    def label(self, place: int, tier: Tier, reservation: int, jobs: Sequence[Job]) -> int:
        """Hand a reservation to a worker."""
        worker = self._slots[place].worker(tier)
        return self._follow(worker.label.remote(reservation, jobs))

    def ended(self, timeout_s: float) -> Sequence[Ended]:
        """What is over; waits for the first."""
        tickets = []
        with suppress(Empty):
            tickets.append(self._over.get(timeout=timeout_s))
            while True:
                tickets.append(self._over.get_nowait())
        return [_ended(ticket, self._at_work.pop(ticket)) for ticket in tickets]

    def has_ended(self, ticket: int) -> bool:
        """Whether Ray has the answer."""
        future = self._at_work.get(ticket)
        return future is None or future.done()

    def kill(self, place: int, tier: Tier) -> None:
        """End a worker through Ray."""
        self._slots[place].kill(tier)

    def now(self) -> float:
        """The machine's own clock."""
        return time.monotonic()

    def _follow(self, reference: "ray.ObjectRef[Any]") -> int:
        ticket = next(self._tickets)
        future = self._at_work[ticket] = reference.future()
        future.add_done_callback(lambda _: self._over.put(ticket))
        return ticket


def _ended(ticket: int, future: "Future[Any]") -> Ended:
    error = future.exception()
    if isinstance(error, RayTaskError):
        return Ended(ticket, trouble=_own(error))
    if isinstance(error, RayError):
        return Ended(ticket, died=True)
    answer = future.result()
    return Ended(ticket, worked=answer if isinstance(answer, Worked) else None)


def _own(error: RayTaskError) -> Exception:
    """Ours, where a worker couldn't load or settle; else what people should do."""
    if isinstance(error.cause, ForgefieldError):
        return error.cause
    trouble = StorageError(
        f"A label could not be settled ({str(error.cause)[:200]}). Run the same command again: "
        "its result is spooled and will be taken up."
    )
    trouble.__cause__ = error
    return trouble
