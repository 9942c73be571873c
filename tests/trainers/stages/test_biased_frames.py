"""Weights that really act: labels that are wrong ruin unweighted pre-training alone."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from forgefield.storage.frame_store import FrameStore
from forgefield.storage.frames import Frames
from forgefield.storage.records import Tier
from forgefield.storage.settled_frames import StoredFrame, from_stored
from forgefield.trainers.force_field import ForceField
from forgefield.trainers.stages.running import run_stage
from forgefield.trainers.stages.tasks import StageTask

MakeFrames = Callable[..., list[StoredFrame]]
MakeTask = Callable[..., StageTask]


@pytest.fixture(scope="module")
def spoilt(make_frames: MakeFrames, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight accurate frames and 240 of dft; half of the latter have forces of three times size."""
    cheap = make_frames(Tier.DFT, 240, 1, start=101)
    wrong = [
        replace(frame, label=replace(frame.label, forces_A3=3 * frame.label.forces_A3))
        for frame in cheap[::2]
        if frame.label.forces_A3 is not None
    ]
    path = tmp_path_factory.mktemp("spoilt") / "frames.zarr"
    with FrameStore.open_for_writing(path) as store:
        store.append([*make_frames(Tier.CCSD, 8, 2, start=1), *cheap[1::2], *wrong])
    return path


def mean_error(folder: Path, frames: Frames) -> float:
    return float(np.abs(ForceField.load(folder).predict(frames)[1] - frames.forces_A3).mean())


def test_biased_frames_ruin_unweighted_pretraining_and_weights_save_it(
    spoilt: Path, make_task: MakeTask, make_frames: MakeFrames
) -> None:
    unseen = from_stored(make_frames(Tier.CCSD, 60, 77))
    own = {"frames": spoilt, "fit": {"steps": 300, "batch": 16}}
    short = {"frames": spoilt, "fit": {"steps": 100}}
    teacher = run_stage(make_task("teacher", Tier.CCSD, **short)).output
    trained = {
        c: run_stage(make_task("pretrain", Tier.DFT, teacher=teacher, c=c, **own))
        for c in (0.5, None)
    }
    errors = {c: mean_error(result.output, unseen) for c, result in trained.items()}
    standard = mean_error(teacher, unseen)
    assert errors[None] > 5 * standard
    assert errors[0.5] < standard
    tuning = {"frames": spoilt, "fit": {"steps": 60, "rate": 1e-3}}
    tuned = {
        c: mean_error(
            run_stage(make_task("tune", Tier.CCSD, start=result.output, **tuning)).output, unseen
        )
        for c, result in trained.items()
    }
    assert tuned[0.5] < 0.7 * min(tuned[None], standard)
