"""A step of a benchmark, timed on this machine, and how long its stages are in such steps.

The longest training that needs no other is begun; it goes as far as it must and leaves nothing.
"""

import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from forgefield.platform.benchmarking.preparing import Prepared
from forgefield.platform.benchmarking.waves import Waves, chains_in
from forgefield.platform.benchmarking.wording import steps_in
from forgefield.platform.interrupts import leave_if_pressed
from forgefield.storage.errors import TrainingDiverged
from forgefield.trainers.stages.tasks import Phase, StageProgress, StageTask

TRIAL = "trial"
LINE, LINES = 10, 3
"""A trial is timed from its first to its last line; compiling is before the first."""
SCORES_COST = 2.5
"""A step of score matching in steps on labels (LOG.md: 2.3 to 2.7)."""
WavesOf = Callable[[Prepared], Waves]


class _EnoughError(Exception):
    """A trial has been timed."""


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds of a step of the training that was tried, and of each frame of its batch."""

    step_s: float
    frame_s: float


def trial(prepared: Prepared, waves_of: WavesOf) -> Timed | None:
    """A step, tried out; `None` where the very first ones diverge."""
    chains = chains_in(waves_of(prepared))
    tasks = [task for chain in chains for task in chain if not task.sources]
    longest, folder = max(tasks, key=lambda task: steps_in([task])), prepared.asked.out / TRIAL
    try:
        step_s = _timed(_reporting(longest, folder), prepared.device)
        return Timed(step_s, step_s * steps_in([longest]) / work_in(longest))
    except TrainingDiverged:
        return None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _reporting(task: StageTask, folder: Path) -> StageTask:
    """The same task, compiled where that is, which reports every few steps and chooses nothing."""
    (phase,) = task.phases
    often = phase.fit.model_copy(update={"evaluate_every": LINE, "patience": 0})
    phases = (phase.model_copy(update={"fit": often}),)
    update = {"phases": phases, "output": folder / task.name, "validation": None}
    return task.model_copy(update=update)


def _timed(task: StageTask, device: str) -> float:
    from forgefield.trainers.stages.running import run_stage

    seen: list[tuple[int, float]] = []

    def watch(line: StageProgress) -> None:
        leave_if_pressed()
        seen.append((line.fit.step, time.monotonic()))
        if len(seen) == LINES:
            raise _EnoughError

    began = time.monotonic()
    with suppress(_EnoughError):
        run_stage(task, watch, device=device)
    first, last = ((0, began), seen[-1]) if len(seen) == 1 else (seen[0], seen[-1])
    return (last[1] - first[1]) / (last[0] - first[0])


def work_in(task: StageTask) -> int:
    """Frames that the steps of a stage see, as many as take its time on labels."""
    return round(sum(map(_work, task.phases)))


def _work(phase: Phase) -> float:
    frames = phase.fit.steps * phase.fit.batch
    return frames * (SCORES_COST if phase.objective == "scores" else 1)
