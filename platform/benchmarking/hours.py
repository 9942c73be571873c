"""How long the trainings of a benchmark are, for it to end in the hours that it may take.

A step is timed on this machine (`trial`). What was settled for so many hours is kept, so that the
same command goes on at the same effort, however fast the machine is by then.
"""

import math
from collections.abc import Callable
from dataclasses import replace

from pydantic import ValidationError

from forgefield.platform.benchmarking.preparing import Prepared
from forgefield.platform.benchmarking.results import write
from forgefield.platform.benchmarking.trial import Timed, WavesOf, trial, work_in
from forgefield.platform.benchmarking.waves import in_turn
from forgefield.platform.benchmarking.wording import steps_in
from forgefield.platform.screen.reporter import Reporter
from forgefield.platform.screen.wording import duration
from forgefield.storage.documents import Document
from forgefield.trainers.stages.finished import finished_chain
from forgefield.trainers.stages.tasks import StageTask

KEPT = "hours.json"
FEW_STEPS, SLOWEST_S = 5000, 2.0
"""So few steps aren't worth a trial where the slowest ones end in the hours too."""
STAGE_S = 45.0
"""What a stage takes beside its steps: a worker, loading, compiling."""
EXCEEDED = 1.2
"""Times the hours that were asked for are said to be exceeded."""
LEAST = 0.01
"""Effort below which a table says nothing; the hours are exceeded instead."""
Size = Callable[[StageTask], int]


class Afforded(Document):
    """The effort that was settled for so many hours, and a step's seconds then."""

    hours: float
    effort: float
    step_s: float


def settled(prepared: Prepared, waves_of: WavesOf, reporter: Reporter) -> Prepared:
    """The same at the effort for the hours that were asked for; says how long training takes."""
    hours = prepared.asked.hours
    kept = None if hours is None else _kept(prepared, hours)
    if kept is not None:
        prepared = _at(prepared, kept.effort)
    if _is_short(in_turn(waves_of(prepared), 1, _steps_left), hours):
        return prepared
    reporter.say("Timing a step; where steps are compiled, that comes first and takes minutes …")
    timed = trial(prepared, waves_of)
    if timed is None:
        reporter.say(f"The first steps diverge, so no time is known: {_efforts(prepared)}.")
        return prepared
    if hours is not None and kept is None:
        prepared, timed = _chosen(prepared, waves_of, hours, timed)
    seconds = _seconds_left(prepared, waves_of, timed)
    reporter.say(
        f"At {_efforts(prepared)} training takes about {duration(seconds)}: {timed.step_s:.2g} s a "
        f"step, {prepared.parallel} at a time (--hours or --effort change it)."
    )
    if hours is not None and seconds > EXCEEDED * hours * 3600:
        reporter.say(
            f"That is longer than the {hours:g} h of --hours: no effort is below {LEAST:g}, and an "
            "effort that a folder was begun with is kept. Fewer --rows, --seeds, --cost-ratio or "
            "--c take less."
        )
    return prepared


def _is_short(steps: int, hours: float | None) -> bool:
    return steps <= FEW_STEPS and (hours is None or steps * SLOWEST_S <= hours * 3600)


def _efforts(prepared: Prepared) -> str:
    return f"effort {', '.join(f'{effort:g}' for effort in prepared.asked.efforts)}"


def effort_for(hours: float, stages: int, work: int, frame_s: float) -> float:
    """The effort at which `stages` with `work` at effort 1, in turn, end in time; 1 at most."""
    seconds = hours * 3600 - stages * STAGE_S
    effort = min(1.0, max(LEAST, seconds / (work * frame_s)))
    scale = 10.0 ** (1 - math.floor(math.log10(effort)))
    return math.floor(effort * scale + 1e-9) / scale


def _chosen(
    prepared: Prepared, waves_of: WavesOf, hours: float, timed: Timed
) -> tuple[Prepared, Timed]:
    """Timed once more at the effort found: short trainings aren't compiled, and slower a step.

    What is finished at effort 1 is of no use at another one, and counts for effort 1 alone.
    """
    effort = 1.0
    if _seconds_left(_at(prepared, 1.0), waves_of, timed) > hours * 3600:
        whole = _in_turn(prepared, waves_of, work_in)
        effort = effort_for(hours, *whole, timed.frame_s)
        if effort < 1:
            timed = trial(_at(prepared, effort), waves_of) or timed
            effort = effort_for(hours, *whole, timed.frame_s)
    kept = Afforded(hours=hours, effort=effort, step_s=timed.step_s)
    write(prepared.asked.out / KEPT, kept.model_dump_json(indent=1) + "\n")
    return _at(prepared, effort), timed


def _seconds_left(prepared: Prepared, waves_of: WavesOf, timed: Timed) -> float:
    """What isn't finished takes so long."""
    stages, work = _in_turn(prepared, waves_of, _work_left)
    return work * timed.frame_s + stages * STAGE_S


def _in_turn(prepared: Prepared, waves_of: WavesOf, size: Size) -> tuple[int, int]:
    """Stages of some size that lie one after another, and their sizes together."""
    waves, parallel = waves_of(prepared), prepared.parallel
    stages = in_turn(waves, parallel, lambda task: int(size(task) > 0))
    return stages, in_turn(waves, parallel, size)


def _work_left(task: StageTask) -> int:
    return 0 if finished_chain([task]) else work_in(task)


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
