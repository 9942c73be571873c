"""Committees: the same stages several times, as chains that a runner trains side by side."""

from pathlib import Path

from forgefield.trainers.stages.asteroid_settings import Chain
from forgefield.trainers.stages.tasks import StageTask


def committee(chain: Chain, members: int) -> list[Chain]:
    """The same chain with other weights and other batches each time; the first is `chain` itself.

    Frames are the same for all. A stage that goes on from an earlier one of its chain goes on from
    that member's own.
    """
    return [chain, *(_member(chain, place) for place in range(1, members))]


def _member(chain: Chain, place: int) -> Chain:
    moved = {task.output: _beside(task.output, place) for task in chain}
    return tuple(_reseeded(task, place, moved) for task in chain)


def _beside(output: Path, place: int) -> Path:
    return output.with_name(f"{output.name}-member-{place}")


def _reseeded(task: StageTask, place: int, moved: dict[Path, Path]) -> StageTask:
    phases = tuple(
        phase.model_copy(
            update={"fit": phase.fit.model_copy(update={"seed": phase.fit.seed + place})}
        )
        for phase in task.phases
    )
    return task.model_copy(
        update={
            "name": f"{task.name}-member-{place}",
            "output": moved[task.output],
            "start": task.start and moved.get(task.start, task.start),
            "phases": phases,
            "seed": task.seed + place,
        }
    )
