"""A readout for every method over one backbone, and parts that a phase leaves alone."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.records import Tier
from forgefield.storage.settled_frames import StoredFrame, from_stored
from forgefield.trainers.force_field import ForceField
from forgefield.trainers.stages.running import run_stage
from forgefield.trainers.stages.tasks import Selection, StageResult, StageTask

MakeFrames = Callable[..., list[StoredFrame]]
MakeTask = Callable[..., StageTask]
HEADS = ("xtb", "springs dft", "ccsd")
FEW = {"fit": {"steps": 3, "evaluate_every": 3}}


@pytest.fixture(scope="module")
def trained(make_task: MakeTask) -> StageResult:
    """Three methods at once, on `springs` alone."""
    task = make_task(
        "heads", Tier.XTB, Tier.DFT, Tier.CCSD, heads=HEADS, molecules=("springs",),
        fit={"steps": 200, "batch": 16},
    )  # fmt: skip
    return run_stage(task)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return ForceField.load(folder).network.state_dict()


def forces_of_head(folder: Path, head: int, frames: Frames) -> np.ndarray:
    stored = ForceField.load(folder)
    other = replace(stored, metadata=stored.metadata.model_copy(update={"head": head}))
    return other.predict(frames)[1]


def test_each_head_has_learnt_its_own_method(trained: StageResult, make_frames: MakeFrames) -> None:
    """Forces of dft are 15 % stiffer than those of xtb on the same frames."""
    metadata = ForceField.load(trained.output).metadata
    assert (metadata.head, metadata.heads, metadata.method) == (2, HEADS, "springs ccsd")
    labels = [from_stored(make_frames(tier, 40, 77)) for tier in (Tier.XTB, Tier.DFT)]
    found = [forces_of_head(trained.output, head, labels[0]) for head in (0, 1)]
    errors = np.array(
        [[np.abs(forces - frames.forces_A3).mean() for frames in labels] for forces in found]
    )
    assert errors[0, 0] < 0.8 * errors[0, 1]
    assert errors[1, 1] < 0.8 * errors[1, 0]
    accurate = forces_of_head(trained.output, 2, labels[0])
    np.testing.assert_array_equal(ForceField.load(trained.output).predict(labels[0])[1], accurate)


def test_a_frame_trains_no_other_head(trained: StageResult, make_task: MakeTask) -> None:
    """Without decay, a readout that no frame asks for keeps its bits."""
    fit = {"steps": 3, "evaluate_every": 3, "weight_decay": 0.0, "ema": 0.0}
    tuned = run_stage(
        make_task("tuned", Tier.CCSD, start=trained.output, molecules=("springs",), fit=fit)
    )
    before, after = weights(trained.output), weights(tuned.output)
    last = [name for name in before if before[name].shape[:1] == (3,) and "readout" in name]
    assert len(last) == 2
    for name in last:
        assert torch.equal(before[name][:2], after[name][:2])
        assert not torch.equal(before[name][2], after[name][2])
    assert ForceField.load(tuned.output).metadata.head == 2


def test_a_method_without_a_head_goes_on_from_the_one_that_predicts(make_task: MakeTask) -> None:
    cheap = {"heads": ("xtb", "dft"), "target": Tier.DFT, **FEW}
    first = run_stage(make_task("first", Tier.XTB, Tier.DFT, **cheap))
    assert ForceField.load(first.output).metadata.head == 1
    tuned = run_stage(make_task("tuned", Tier.CCSD, start=first.output, **FEW))
    metadata = ForceField.load(tuned.output).metadata
    assert (metadata.head, metadata.heads) == (1, ("xtb", "springs ccsd"))
    with pytest.raises(InputError, match="another model"):
        run_stage(make_task("bad", Tier.CCSD, start=first.output, heads=("ccsd",), **FEW))


def test_a_frame_whose_method_has_no_head_is_refused(make_task: MakeTask) -> None:
    """It would teach the target's head; validation frames are judged by that, and may."""
    only = {"heads": ("springs dft", "ccsd"), "target": Tier.CCSD, **FEW}
    with pytest.raises(InputError, match=r"springs xtb \(xtb\) have no head; .* springs dft, ccsd"):
        run_stage(make_task("bad", Tier.DFT, Tier.XTB, **only))
    judged = Selection(tiers=(Tier.XTB,))
    assert run_stage(make_task("good", Tier.DFT, validation=judged, **only)).validation


def test_heads_keep_their_places(make_task: MakeTask) -> None:
    first = run_stage(make_task("first", Tier.XTB, Tier.DFT, heads=("xtb", "dft"), **FEW))
    start = {"start": first.output, **FEW}
    for heads in (("dft", "xtb"), ("dft", "ccsd"), ("springs dft", "ccsd")):
        with pytest.raises(InputError, match=r"are xtb, dft; .* which moves .*dft.*: keep"):
            run_stage(make_task("bad", Tier.DFT, heads=heads, **start))
    tuned = run_stage(make_task("good", Tier.CCSD, heads=("xtb", "ccsd"), **start))
    assert ForceField.load(tuned.output).metadata.heads == ("xtb", "ccsd")


@pytest.mark.parametrize("part", ["readout", "layers.0"])
def test_frozen_parts_keep_their_bits_and_others_do_not(make_task: MakeTask, part: str) -> None:
    first = run_stage(make_task("first", Tier.DFT, **FEW))
    freeze = {"phase": {"frozen": (part,)}, "start": first.output}
    tuned = run_stage(make_task("tuned", Tier.CCSD, **freeze, **FEW))
    before, after = weights(first.output), weights(tuned.output)
    held = {name for name in before if torch.equal(before[name], after[name])}
    assert held == {name for name in before if name.startswith(part)}
    assert len(held) > 1


def test_a_thawed_phase_trains_again(make_task: MakeTask) -> None:
    task = make_task("two", Tier.DFT, phase={"frozen": ("embedding",)}, **FEW)
    free = task.phases[0].model_copy(update={"frozen": ()})
    held = run_stage(task)
    both = run_stage(
        task.model_copy(update={"phases": (*task.phases, free), "output": held.output.parent / "b"})
    )
    assert not torch.equal(
        weights(held.output)["embedding.weight"], weights(both.output)["embedding.weight"]
    )


def test_what_cannot_be_frozen_is_named(make_task: MakeTask) -> None:
    with pytest.raises(InputError, match="'head'; parts are: embedding, layers, readout"):
        run_stage(make_task("a", Tier.DFT, phase={"frozen": ("head",)}, **FEW))
    every = ("embedding", "layers", "readout")
    with pytest.raises(InputError, match="leave some to train"):
        run_stage(make_task("b", Tier.DFT, phase={"frozen": every}, **FEW))
