"""Trainings in waves, each of which waits for what the one before it chose.

Side by side a wave takes as long as its work on so many cores, or as its longest line of trainings
that wait for each other.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from forgefield.trainers.stages.asteroid_settings import Chain
from forgefield.trainers.stages.tasks import StageTask

Waves = Sequence[Mapping[Any, Chain]]


def chains_in(waves: Waves) -> list[Chain]:
    """All chains, wave after wave."""
    return [chain for wave in waves for chain in wave.values()]


def in_turn(waves: Waves, parallel: int, size: Callable[[StageTask], int]) -> int:
    """What lies one after another when `parallel` stages of such sizes go side by side."""
    return sum(_in_turn(wave.values(), parallel, size) for wave in waves)


def _in_turn(chains: Iterable[Chain], parallel: int, size: Callable[[StageTask], int]) -> int:
    ends: dict[Path, int] = {}
    total = 0
    for task in (task for chain in chains for task in chain):
        begun = max((ends.get(source, 0) for source in task.sources), default=0)
        ends[task.output] = begun + size(task)
        total += size(task)
    return max(-(-total // parallel), *ends.values(), 0)
