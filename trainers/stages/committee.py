"""Committees: the same stage several times, as chains that a runner trains side by side."""

from forgefield.trainers.stages.tasks import StageTask


def committee(task: StageTask, members: int) -> list[tuple[StageTask]]:
    """The same task with other weights and other batches each time, as chains for a runner.

    Member 0 is the task itself, into a folder of its own; the frames are the same for all.
    """
    return [(_reseeded(task, place),) for place in range(members)]


def _reseeded(task: StageTask, place: int) -> StageTask:
    phases = tuple(
        phase.model_copy(
            update={"fit": phase.fit.model_copy(update={"seed": phase.fit.seed + place})}
        )
        for phase in task.phases
    )
    return task.model_copy(
        update={
            "name": f"{task.name}-member-{place}",
            "output": task.output / f"member-{place}",
            "phases": phases,
            "seed": task.seed + place,
        }
    )
