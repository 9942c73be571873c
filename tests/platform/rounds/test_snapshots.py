"""What a round trains on: a copy that doesn't grow, of the plan's own methods, without hold-out."""

import os
from pathlib import Path

import numpy as np
import pytest
from spring_frames import springs

from forgefield.platform.forecasting.counts import Counts
from forgefield.platform.planning.own_frames import counts_of, own_frames
from forgefield.platform.snapshots import snapshot
from forgefield.storage.errors import HoldoutLocked
from forgefield.storage.frame_store import FrameStore, dataset_version, load_frames
from forgefield.storage.frame_store.holdout import holdout_locked
from forgefield.storage.records import Job, Label, Method, Purpose, Tier
from forgefield.storage.settled_frames import StoredFrame, to_stored

METHODS = {
    Tier.EMPIRICAL: "MMFF94",
    Tier.XTB: "GFN2-xTB",
    Tier.DFT: "PBE/def2-SVP",
    Tier.CCSD: "CCSD(T)/cc-pVDZ, frozen core",
}
LEARNT = frozenset({Tier.XTB, Tier.DFT})


def stored(first: int, count: int, method: Method, purpose: Purpose) -> list[StoredFrame]:
    frames = springs(count, seed=first)
    made = []
    for at in range(count):
        one = to_stored(frames, at)
        job = Job(one.job.configuration, method, purpose)
        made.append(StoredFrame(first + at, job, one.label, 1000))
    return made


def own(tier: Tier, first: int, count: int, purpose: Purpose = Purpose.TRAIN) -> list[StoredFrame]:
    return stored(first, count, Method(tier, METHODS[tier]), purpose)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with FrameStore.open_for_writing(tmp_path / "frames.zarr") as frames:
        frames.append(
            [
                *own(Tier.CCSD, 1, 2, Purpose.CALIBRATION),
                *own(Tier.CCSD, 10, 5),
                *own(Tier.CCSD, 20, 3, Purpose.VALIDATION),
                *own(Tier.CCSD, 30, 4, Purpose.HOLDOUT),
                *own(Tier.DFT, 40, 6),
                *own(Tier.XTB, 60, 7),
                *own(Tier.EMPIRICAL, 80, 9),
                *stored(100, 8, Method(Tier.CCSD, "MP2/cc-pVDZ"), Purpose.TRAIN),
            ]
        )
    return tmp_path / "frames.zarr"


def test_labels_of_another_level_are_named_and_left_out(store: Path) -> None:
    frames, said = own_frames(store, METHODS)
    assert len(said) == 1
    assert said[0].startswith("8 ccsd frames of MP2/cc-pVDZ are left out")
    assert METHODS[Tier.CCSD] in said[0]
    assert len(frames) == 2 + 5 + 3 + 6 + 7 + 9
    assert counts_of(frames, LEARNT) == Counts(7, 6, 7), "nothing trains on the empirical ones"
    assert counts_of(frames, frozenset({Tier.XTB})) == Counts(7, 0, 7)


def test_labels_without_forces_train_nothing(tmp_path: Path) -> None:
    bare = [
        StoredFrame(
            one.seq, one.job, Label(one.label.energy, None, one.label.provenance), one.cost_micro
        )
        for one in own(Tier.CCSD, 1, 2)
    ]
    with FrameStore.open_for_writing(tmp_path / "frames.zarr") as frames:
        frames.append([*bare, *own(Tier.CCSD, 10, 3)])
    assert counts_of(own_frames(tmp_path / "frames.zarr", METHODS)[0], LEARNT) == Counts(3)


def test_a_snapshot_stays_while_the_store_grows(store: Path, tmp_path: Path) -> None:
    frames, _ = own_frames(store, METHODS)
    place = snapshot(frames, tmp_path / "rounds" / "frames.zarr")
    version = dataset_version(place)
    with FrameStore.open_for_writing(store) as growing:
        growing.append(own(Tier.CCSD, 200, 5))
    more, _ = own_frames(store, METHODS)
    assert len(more) == len(frames) + 5
    snapshot(more, place)
    assert dataset_version(place) == version
    copied = load_frames(place)
    np.testing.assert_array_equal(copied.seq_F, frames.seq_F)
    np.testing.assert_array_equal(copied.key_F, frames.key_F)
    np.testing.assert_array_equal(copied.forces_A3, frames.forces_A3)
    assert [each.name for each in place.parent.iterdir()] == ["frames.zarr"]


def test_a_snapshot_that_was_cut_off_is_made_anew(store: Path, tmp_path: Path) -> None:
    frames, _ = own_frames(store, METHODS)
    torn = tmp_path / "rounds" / ".frames.zarr.partial"
    with FrameStore.open_for_writing(torn) as half:
        half.append([to_stored(frames, at) for at in range(3)])
    assert len(load_frames(snapshot(frames, tmp_path / "rounds" / "frames.zarr"))) == len(frames)


def test_a_snapshot_outlives_a_power_loss(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own name is synced after it was given, also where a kill came between."""
    frames, _ = own_frames(store, METHODS)
    place, synced, sync = tmp_path / "rounds" / "frames.zarr", list[bool](), os.fsync

    def watched(descriptor: int) -> None:
        if os.fstat(descriptor).st_ino == place.parent.stat().st_ino:
            synced.append(place.exists())
        sync(descriptor)

    place.parent.mkdir()
    monkeypatch.setattr(os, "fsync", watched)
    snapshot(frames, place)
    assert synced[-1]
    synced.clear()
    snapshot(frames, place)
    assert synced == [True]


def test_no_snapshot_needs_the_hold_out(store: Path, tmp_path: Path) -> None:
    with holdout_locked():
        frames, _ = own_frames(store, METHODS)
        copied = snapshot(frames, tmp_path / "copy.zarr")
    assert not (load_frames(copied, tuple(Purpose)).purpose_F == int(Purpose.HOLDOUT)).any()
    with holdout_locked(), pytest.raises(HoldoutLocked):
        load_frames(store, tuple(Purpose))
