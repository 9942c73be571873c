"""`platform split`: recorded, repeated, and refused while a run is going on."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from forgefield.platform.cli import app
from forgefield.platform.data_sets.splitting import split_folder
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.errors import InputError, RunBusy
from forgefield.storage.frame_store import FrameStore, load_frames
from forgefield.storage.ledger import Ledger
from forgefield.storage.ledger.packing import pack
from forgefield.storage.records import Purpose
from forgefield.storage.splitting import LEFT_OUT, TEST, SplitSettings
from forgefield.storage.testing import XTB, labelled, make_job


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder.at(tmp_path / "run")
    made.create()
    jobs = [make_job(n, XTB, Purpose.HOLDOUT if n % 10 == 0 else Purpose.TRAIN) for n in range(60)]
    with Ledger(made.ledger_url) as ledger, FrameStore.open_for_writing(made.frames) as store:
        ledger.set_cap(10**6, "test")
        number = ledger.reserve(jobs, 1000)
        ledger.settle(number, [labelled(job) for job in jobs], 600)
        pack(ledger, store)
        ledger_seqs = store.rows()[0]
        store.withdraw({1000: int(ledger_seqs[5])})
    return made


def test_the_split_is_recorded_and_stays(folder: RunFolder) -> None:
    first = split_folder(folder, SplitSettings(0.2, 0.2))
    frames = load_frames(folder.frames, tuple(Purpose))
    assert sum(first.frames.values()) == len(frames) == first.new == first.groups == 59
    recorded = frames.added_F["split"]
    assert set(recorded[frames.purpose_F == Purpose.HOLDOUT].tolist()) == {TEST}
    assert first.frames["validation"] > 0
    with FrameStore.open_for_writing(folder.frames) as store:
        everything, stands = store.everything()
    assert everything.added_F["split"][~stands].tolist() == [LEFT_OUT] * 2
    again = split_folder(folder, SplitSettings(0.2, 0.2, seed=9))
    assert again.new == 0
    now = load_frames(folder.frames, tuple(Purpose)).added_F["split"]
    np.testing.assert_array_equal(now, recorded)


def test_a_hold_out_frame_whose_twin_was_trained_on_is_reported(folder: RunFolder) -> None:
    assert split_folder(folder, SplitSettings(0.0, 0.0)).holdout_twins == 0
    with Ledger(folder.ledger_url) as ledger, FrameStore.open_for_writing(folder.frames) as store:
        trained = make_job(1).configuration
        late = make_job(2, XTB, Purpose.HOLDOUT)
        moved = replace(trained, molecule="late", positions_A3=trained.positions_A3 + 1)
        job = replace(late, configuration=moved)
        ledger.settle(ledger.reserve([job], 1000), [labelled(job)], 10)
        pack(ledger, store)
    found = split_folder(folder, SplitSettings(0.0, 0.0))
    assert found.holdout_twins == 1
    assert found.frames["left out"] == 0
    said = CliRunner().invoke(app, ["split", str(folder.root)]).stdout
    assert "1 hold-out frames have twins in training" in said.replace("\n", " ")


def test_the_command(folder: RunFolder) -> None:
    said = CliRunner().invoke(app, ["split", str(folder.root), "--json"])
    assert said.exit_code == 0
    assert sum(json.loads(said.stdout)["frames"].values()) == 59
    spoken = CliRunner().invoke(app, ["split", str(folder.root)]).stdout
    assert "train" in spoken
    assert "59 groups" in spoken.replace("\n", " ")


def test_refused_while_somebody_writes_and_without_frames(
    folder: RunFolder, tmp_path: Path
) -> None:
    with FrameStore.open_for_writing(folder.frames), pytest.raises(RunBusy):
        split_folder(folder, SplitSettings())
    empty = RunFolder.at(tmp_path / "empty")
    empty.create()
    with pytest.raises(InputError, match="nothing to split"):
        split_folder(empty, SplitSettings())
