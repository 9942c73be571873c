"""Two processes that train together have the loss curve of one; Ray's own tests are slow."""

import subprocess
import sys
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
import torch.distributed as dist
from forgefield.trainers.stages.running import run_stage
from forgefield.trainers.stages.tasks import StageTask
meeting, rank, task = sys.argv[1:]
dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=int(rank), world_size=2)
run_stage(StageTask.model_validate_json(task))
dist.destroy_process_group()
"""


def run_by_two(task: StageTask, meeting: Path) -> None:
    """Each in a process of its own."""
    both = [
        subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", PROGRAM, str(meeting), str(rank), task.model_dump_json()],
        )
        for rank in range(2)
    ]
    assert [process.wait() for process in both] == [0, 0]


def test_two_processes_have_the_loss_curve_of_one(make_task: MakeTask, tmp_path: Path) -> None:
    """A batch of 5 is 3 + 2 frames of molecules of two sizes."""
    fit = {"steps": 20, "batch": 5, "evaluate_every": 5, "optimiser": "muon"}
    judged = Selection(tiers=(Tier.CCSD,), purposes=(Purpose.VALIDATION,))
    alone, shared = (
        make_task(name, Tier.XTB, fit=fit, validation=judged) for name in ("alone", "shared")
    )
    one = run_stage(alone)
    run_by_two(shared, tmp_path / "meeting")
    two = run_stage(shared)
    assert two.reused
    (ours,), (theirs,) = one.phases, two.phases
    assert [line.step for line in theirs.history] == [5, 10, 15, 20]
    for line, other in zip(ours.history, theirs.history, strict=True):
        assert other.loss == pytest.approx(line.loss, rel=5e-5)
        assert other.validation == pytest.approx(line.validation, rel=5e-5)
    weights = ForceField.load(one.output).network.state_dict()
    for name, value in ForceField.load(two.output).network.state_dict().items():
        torch.testing.assert_close(value, weights[name], rtol=0, atol=1e-4)
