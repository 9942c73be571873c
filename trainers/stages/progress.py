"""How far stages are: a small file each, in a folder that those who train and who watch share.

No torch and no Ray, so that whoever only looks needn't load them.
"""

import json
import math
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from forgefield.trainers.settings import Progress
from forgefield.trainers.stages.tasks import StageProgress, StageTask

PROGRESS = "progress"
"""Folder of these files beside those of finished stages."""


def begun(task: StageTask) -> StageProgress:
    """The line of a stage that hasn't made a step yet; it may be compiling for minutes."""
    fit = Progress(0, task.phases[0].fit.steps, math.nan, math.nan, math.nan)
    return StageProgress(task.name, 1, len(task.phases), fit)


def write_progress(folder: Path, line: StageProgress) -> None:
    """Replace the line of a stage."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{line.stage}.json"
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    partial.write_text(json.dumps(asdict(line)), encoding="utf-8")
    partial.replace(path)


def latest_progress(folder: Path) -> dict[str, StageProgress]:
    """The last line of each stage that has reported so far, by its name."""
    lines = {}
    for path in sorted(folder.glob("*.json")):
        stored = json.loads(path.read_text(encoding="utf-8"))
        stored["fit"] = Progress(**stored["fit"])
        lines[path.stem] = StageProgress(**stored)
    return lines


def unfinished(progress: Path, finished: Path) -> Iterator[tuple[str, StageProgress]]:
    """Stages that have reported in `progress` and have no folder in `finished`, by their names."""
    for name, line in latest_progress(progress).items():
        if not (finished / name).exists():
            yield name, line
