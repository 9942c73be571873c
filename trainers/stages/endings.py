"""How chains of stages end: with their force fields, or in a fit that diverged.

A fit goes the same way each time, so a chain that diverged needn't be tried again, and those that
go on from what it should have made end with it.
"""

from collections.abc import Iterable, Sequence

from forgefield.storage.errors import TrainingDiverged
from forgefield.trainers.stages.finished import finished_chain
from forgefield.trainers.stages.tasks import StageResult, StageTask

Ending = tuple[StageResult, ...] | TrainingDiverged


def lost(
    chain: Sequence[StageTask], before: Iterable[tuple[Sequence[StageTask], Ending]]
) -> TrainingDiverged | None:
    """The error of a chain of `before` that leaves this one without a force field it needs."""
    needed = {source for task in chain for source in task.sources}
    for other, ending in before:
        made = [task for task in other if task.output in needed]
        if isinstance(ending, TrainingDiverged) and not all(finished_chain([t]) for t in made):
            return ending
    return None


def whole(ending: Ending) -> tuple[StageResult, ...]:
    """The results of a chain that nothing can be done without; raises what it diverged with."""
    if isinstance(ending, TrainingDiverged):
        raise ending
    return ending


def that_ended(endings: Iterable[Ending]) -> list[tuple[StageResult, ...]]:
    """Those that have force fields, of chains that others may stand in for."""
    return [ending for ending in endings if not isinstance(ending, TrainingDiverged)]
