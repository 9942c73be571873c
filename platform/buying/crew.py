"""Who labels: what the dispatcher needs of workers and of time, and nothing else.

`ray_crew` has it from Ray. A simulation has it from a queue of events in virtual time, so that the
dispatcher can be measured with ten thousand workers. A *place* holds one label at a time and has a
worker a tier; a *ticket* stands for one thing begun (a worker loading, a reservation at work) that
ends once.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forgefield.storage.records import Job, Tier

if TYPE_CHECKING:
    from forgefield.platform.buying.workers import Worked


@dataclass(frozen=True, slots=True)
class Ended:
    """How something ended: with `worked` (labels), with `trouble` to be raised, or in a death.

    A worker that has loaded ends with none of them.
    """

    ticket: int
    worked: "Worked | None" = None
    died: bool = False
    trouble: Exception | None = None


class Crew(ABC):
    """Workers by place; no call but `ended` waits, and none takes longer with more places."""

    @property
    @abstractmethod
    def places(self) -> Sequence[int]:
        """All places."""

    @abstractmethod
    def tiers(self, place: int) -> Collection[Tier]:
        """The tiers that can be labelled at a place."""

    @abstractmethod
    def threads(self, place: int, tier: Tier) -> int:
        """The cores that a label occupies there."""

    @abstractmethod
    def load(self, place: int, tier: Tier) -> int:
        """Have a worker load its libraries, started if there is none; the ticket."""

    @abstractmethod
    def label(self, place: int, tier: Tier, reservation: int, jobs: Sequence[Job]) -> int:
        """Have a worker compute and settle a reservation; the ticket."""

    @abstractmethod
    def ended(self, timeout_s: float) -> Sequence[Ended]:
        """All that has ended since the last call; waits for the first."""

    @abstractmethod
    def has_ended(self, ticket: int) -> bool:
        """Whether it is over, though `ended` may not have told yet."""

    @abstractmethod
    def kill(self, place: int, tier: Tier) -> None:
        """End a worker; what it had begun ends in a death, or nobody hears of it any more."""

    @abstractmethod
    def now(self) -> float:
        """Seconds on a clock that only goes forward."""
