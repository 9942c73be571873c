"""The snapshot of a labelling phase that bars and metrics show."""

from collections.abc import Mapping
from dataclasses import dataclass

from forgefield.storage.records import Tier


@dataclass(frozen=True, slots=True)
class LabelProgress:
    """Where labelling stands; counts by tier, money in core-seconds.

    `latest` holds the core-seconds a label of what was settled since the last snapshot; `waiting`
    says whom a run waits for that has nothing else to do.
    """

    done: Mapping[Tier, int]
    failed: Mapping[Tier, int]
    in_flight: Mapping[Tier, int]
    queued: Mapping[Tier, int]
    spent: Mapping[Tier, float]
    left: float
    busy_cores: int
    latest: tuple[tuple[Tier, float], ...]
    waiting: str = ""
