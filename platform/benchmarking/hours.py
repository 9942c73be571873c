"""How long the trainings of a benchmark are, for it to end in the hours that it may take.

A step's time is tried out on this machine, on the longest training that needs no other, which goes
as far as it must for it and leaves nothing. What was settled for so many hours is kept, so that
the same command goes on at the same effort, however fast the machine is by then.
"""

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from forgefield.platform.benchmarking.preparing import Prepared
from forgefield.platform.benchmarking.results import write
from forgefield.platform.benchmarking.waves import Waves, chains_in, in_turn
from forgefield.platform.benchmarking.wording import steps_in
from forgefield.platform.screen.reporter import Reporter
from forgefield.platform.screen.wording import duration
from forgefield.storage.documents import Document
from forgefield.storage.errors import TrainingDiverged
from forgefield.trainers.stages.finished import finished_chain
from forgefield.trainers.stages.tasks import StageProgress, StageTask

KEPT, TRIAL = "hours.json", "trial"
FEW_STEPS = 5000
"""Minutes at most, whatever the model: not worth a trial."""
STAGE_S = 45.0
"""What a stage takes beside its steps: a worker, loading, compiling."""
LEAST = 0.01
"""Effort below which a table says nothing; the hours are exceeded instead."""
LINE, LINES = 10, 3
"""A trial is timed from its first to its last line; compiling is before the first."""
WavesOf = Callable[[Prepared], Waves]


class Afforded(Document):
    """The effort that was settled for so many hours, and a step's seconds then."""

    hours: float
    effort: float
    step_s: float


class _EnoughError(Exception):
    """A trial has been timed."""


def settled(prepared: Prepared, waves_of: WavesOf, reporter: Reporter) -> Prepared:
    """The same at the effort for the hours that were asked for; says how long training takes."""
    hours = prepared.asked.hours
    kept = None if hours is None else _kept(prepared, hours)
    if kept is not None:
        prepared = _at(prepared, kept.effort)
    if in_turn(waves_of(prepared), 1, _steps_left) <= FEW_STEPS:
        return prepared
    reporter.say("Timing a step; where steps are compiled, that comes first and takes minutes …")
    step_s = trial(prepared, waves_of)
    if step_s is None:
        return prepared
    if hours is not None and kept is None:
        prepared, step_s = _chosen(prepared, waves_of, hours, step_s)
    stages, steps = _left(prepared, waves_of)
    seconds = steps * step_s + stages * STAGE_S
    efforts = ", ".join(f"{effort:g}" for effort in prepared.asked.efforts)
    reporter.say(
        f"At effort {efforts} training takes about {duration(seconds)}: {step_s:.2g} s a step, "
        f"{prepared.parallel} at a time (--hours or --effort change it)."
    )
    return prepared


def effort_for(hours: float, stages: int, steps: int, step_s: float) -> float:
    """The effort at which `stages` with `steps` at effort 1, in turn, end in time; 1 at most."""
    seconds = hours * 3600 - stages * STAGE_S
    effort = min(1.0, max(LEAST, seconds / (steps * step_s)))
    scale = 10.0 ** (1 - math.floor(math.log10(effort)))
    return math.floor(effort * scale + 1e-9) / scale


def trial(prepared: Prepared, waves_of: WavesOf) -> float | None:
    """Seconds of a step, tried out; `None` where the very first ones diverge."""
    chains = chains_in(waves_of(prepared))
    tasks = [task for chain in chains for task in chain if not task.sources]
    longest, folder = max(tasks, key=lambda task: steps_in([task])), prepared.asked.out / TRIAL
    try:
        return _timed(_reporting(longest, folder), prepared.device)
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
    import torch

    from forgefield.trainers.stages.running import run_stage

    seen: list[tuple[int, float]] = []

    def watch(line: StageProgress) -> None:
        seen.append((line.fit.step, time.monotonic()))
        if len(seen) == LINES:
            raise _EnoughError

    threads, began = torch.get_num_threads(), time.monotonic()
    try:
        run_stage(task, watch, device=device)
    except _EnoughError:
        pass
    finally:
        torch.set_num_threads(threads)
    first, last = ((0, began), seen[-1]) if len(seen) == 1 else (seen[0], seen[-1])
    return (last[1] - first[1]) / (last[0] - first[0])


def _chosen(
    prepared: Prepared, waves_of: WavesOf, hours: float, step_s: float
) -> tuple[Prepared, float]:
    """Timed once more at the effort found: short trainings aren't compiled, and slower a step."""
    left = _left(prepared, waves_of)
    effort = effort_for(hours, *left, step_s)
    if effort < 1:
        step_s = trial(_at(prepared, effort), waves_of) or step_s
        effort = effort_for(hours, *left, step_s)
    kept = Afforded(hours=hours, effort=effort, step_s=step_s)
    write(prepared.asked.out / KEPT, kept.model_dump_json(indent=1) + "\n")
    return _at(prepared, effort), step_s


def _left(prepared: Prepared, waves_of: WavesOf) -> tuple[int, int]:
    """Stages and steps that lie one after another still."""
    waves, parallel = waves_of(prepared), prepared.parallel
    stages = in_turn(waves, parallel, lambda task: int(_steps_left(task) > 0))
    return stages, in_turn(waves, parallel, _steps_left)


def _steps_left(task: StageTask) -> int:
    return 0 if finished_chain([task]) else steps_in([task])


def _at(prepared: Prepared, effort: float) -> Prepared:
    return replace(prepared, asked=replace(prepared.asked, efforts=(effort,)))


def _kept(prepared: Prepared, hours: float) -> Afforded | None:
    try:
        text = (prepared.asked.out / KEPT).read_text(encoding="utf-8")
        found = Afforded.model_validate_json(text)
    except (FileNotFoundError, UnicodeDecodeError, ValidationError):
        return None
    return found if found.hours == hours else None
