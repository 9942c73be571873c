"""A stage whose process is killed goes on where it was and ends with the same bits."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from forgefield.storage.records import Purpose, Tier
from forgefield.trainers.force_field import ForceField
from forgefield.trainers.stages.running import run_stage
from forgefield.trainers.stages.tasks import Selection, StageTask

MakeTask = Callable[..., StageTask]
PROGRAM = """
import sys
from forgefield.trainers.stages.running import run_stage
from forgefield.trainers.stages.tasks import StageTask
run_stage(StageTask.model_validate_json(sys.stdin.read()))
"""


def killed_at(task: StageTask, checkpoint: str) -> None:
    """Run the task in a process of its own, and SIGKILL that once the checkpoint is there."""
    runner = [sys.executable, "-c", PROGRAM]
    process = subprocess.Popen(runner, stdin=subprocess.PIPE)  # noqa: S603
    assert process.stdin is not None
    process.stdin.write(task.model_dump_json().encode())
    process.stdin.close()
    while not list(checkpoints(task, checkpoint)):
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def checkpoints(task: StageTask, name: str) -> list[Path]:
    work = task.output.with_name(f"{task.output.name}.work")
    return [path for path in work.rglob(name) if path.suffix == ".safetensors"]


@pytest.mark.parametrize("optimiser", [{}, {"optimiser": "muon", "rate": 0.01}])
def test_two_kills_cost_no_bit(make_task: MakeTask, optimiser: dict[str, object]) -> None:
    """In a weighted phase on two heads, then in one of scores with a part frozen."""
    teacher = run_stage(make_task("teacher", Tier.CCSD, fit={"steps": 20}))
    fit = {"steps": 200, "save_every": 10, "evaluate_every": 50, **optimiser}
    first = make_task("killed", Tier.DFT, Tier.XTB, fit=fit)
    scores = make_task(
        "scores",
        Tier.DFT,
        fit=fit,
        phase={"objective": "scores", "temperature": 300.0, "frozen": ("embedding",)},
    )
    changes = {
        "phases": (*first.phases, *scores.phases),
        "teacher": teacher.output,
        "c": 1.0,
        "heads": ("xtb", "dft"),
        "target": Tier.DFT,
        "validation": Selection(tiers=(Tier.CCSD,), purposes=(Purpose.VALIDATION,)),
    }
    task = first.model_copy(update=changes)
    killed_at(task, "phase-0.safetensors")
    killed_at(task, "phase-1.safetensors")
    assert not task.output.exists()
    steps: list[tuple[int, int]] = []
    resumed = run_stage(task, lambda line: steps.append((line.phase, line.fit.step)))
    assert (1, 50) not in steps
    assert (2, 200) in steps
    straight = run_stage(task.model_copy(update={"output": task.output.with_name("straight")}))
    assert resumed.phases == straight.phases
    ends = [ForceField.load(result.output).network.state_dict() for result in (resumed, straight)]
    assert all(torch.equal(value, ends[1][name]) for name, value in ends[0].items())
    assert not checkpoints(task, "*")
