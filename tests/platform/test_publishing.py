"""The last step of training: force field and baseline in the run folder, whatever was there."""

import shutil
from pathlib import Path

import numpy as np
import report_runs as runs

from forgefield.platform.run_folder import RunFolder
from forgefield.platform.training import publish
from forgefield.storage.frame_store import load_frames
from forgefield.storage.records import Tier
from forgefield.trainers.loading import load_force_field
from forgefield.trainers.stages.asteroid import TrainingOutcome
from forgefield.trainers.uncertainty import Committee


def test_committees_are_calibrated_and_put_where_a_kill_had_left_half_of_them(
    reported: RunFolder, tmp_path: Path
) -> None:
    folder = runs.copy_of(reported, tmp_path)
    frames = load_frames(folder.frames).of_tier(Tier.CCSD)
    before = load_force_field(folder.force_field).predict(frames)[1]
    shutil.rmtree(folder.baseline)
    (folder.root / "force_field.partial-77").mkdir()
    (folder.root / "baseline.old-77").mkdir()
    (folder.root / "force_field.backup-77").mkdir()
    publish(_outcome(reported), frames, folder)
    for place in (folder.force_field, folder.baseline):
        found = load_force_field(place)
        assert isinstance(found, Committee)
        assert found.calibration is not None
        assert len(found.members) == 2
    np.testing.assert_array_equal(load_force_field(folder.force_field).predict(frames)[1], before)
    left = {path.name for path in folder.root.glob("*-77")}
    assert left == {"force_field.backup-77"}, "what is not ours stays"


def test_one_network_takes_the_place_of_a_committee(reported: RunFolder, tmp_path: Path) -> None:
    folder = runs.copy_of(reported, tmp_path)
    outcome = _outcome(reported).model_copy(update={"others": (), "baseline_others": ()})
    publish(outcome, load_frames(folder.frames).of_tier(Tier.CCSD), folder)
    for place in (folder.force_field, folder.baseline):
        assert len(load_force_field(place).members) == 1
        assert not (place / "committee.json").exists()


def _outcome(folder: RunFolder) -> TrainingOutcome:
    return TrainingOutcome.model_validate_json(folder.outcome.read_text())
