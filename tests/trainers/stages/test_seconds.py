"""The seconds of a stage are those of all processes that trained it."""

import time
from collections.abc import Callable

import pytest

from forgefield.storage.records import Tier
from forgefield.trainers.stages.running import run_stage
from forgefield.trainers.stages.tasks import StageProgress, StageTask

PAUSE_S = 1.0


def test_seconds_of_an_interrupted_stage_add_up(make_task: Callable[..., StageTask]) -> None:
    """The first process is slow before its checkpoint, the second is quick."""
    fit = {"steps": 40, "save_every": 10, "evaluate_every": 10}
    task = make_task("interrupted", Tier.CCSD, fit=fit)

    def watch(line: StageProgress) -> None:
        if line.fit.step == 20:
            time.sleep(PAUSE_S)
        if line.fit.step == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stage(task, watch)
    seen: list[int] = []
    found = run_stage(task, lambda line: seen.append(line.fit.step))
    assert seen == [30, 40]
    assert found.wall_s > PAUSE_S
    again = run_stage(task)
    assert again.reused
    assert again.wall_s == found.wall_s
