"""Splits: the same for everybody, recorded, and crossed by no near-duplicate."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from forgefield.storage.errors import HoldoutLocked, InputError
from forgefield.storage.frame_store import FrameStore, load_frames
from forgefield.storage.frame_store.holdout import holdout_locked
from forgefield.storage.frames import Frames
from forgefield.storage.records import Array, Configuration, Job, Label, Purpose
from forgefield.storage.settled_frames import StoredFrame, from_stored
from forgefield.storage.splitting import (
    COLUMN,
    LEFT_OUT,
    TEST,
    TRAIN,
    VALIDATION,
    SplitSettings,
    alike_groups,
    counts,
    split_frames,
)
from forgefield.storage.testing import CCSD, XTB, labelled, make_job

SETTINGS = SplitSettings(validation=0.2, test=0.2)


def frame(seq: int, job: Job) -> StoredFrame:
    label = labelled(job).result
    assert isinstance(label, Label)
    return StoredFrame(seq, job, label, 1)


def frames_of(jobs: list[Job]) -> Frames:
    return from_stored([frame(seq + 1, job) for seq, job in enumerate(jobs)])


def at(job: Job, positions: Array, purpose: Purpose = Purpose.TRAIN) -> Job:
    shape = job.configuration
    moved = Configuration(shape.molecule, shape.numbers, positions)
    return Job(moved, job.method, purpose)


@given(st.integers(0, 1000))
def test_the_order_of_the_frames_does_not_matter(seed: int) -> None:
    frames = frames_of([make_job(number) for number in range(40)])
    order = np.random.default_rng(seed).permutation(40)
    split = split_frames(frames, SETTINGS)
    assert split_frames(frames.select(order), SETTINGS).tolist() == split[order].tolist()


def test_shares_are_kept_and_the_seed_matters() -> None:
    frames = frames_of([make_job(number) for number in range(600)])
    split = split_frames(frames, SETTINGS)
    share = counts(split)
    assert share["left out"] == 0
    assert 85 <= share["test"] <= 155  # 120 ± 3.6 standard deviations
    assert 85 <= share["validation"] <= 155
    other = split_frames(frames, replace(SETTINGS, seed=1))
    assert (other != split).mean() > 0.3


def test_copies_turned_mirrored_renumbered_or_shaken_stay_together() -> None:
    jobs = [make_job(number) for number in range(1, 91, 3)]  # methane
    turn = Rotation.random(rng=np.random.default_rng(1)).as_matrix()
    copies = []
    for number, job in enumerate(jobs):
        here = job.configuration.positions_A3
        shaken = here + 0.001 * np.random.default_rng(number).normal(size=here.shape)
        copies += [at(job, x) for x in (here @ turn + 1, -here, here[[0, 2, 1, 3, 4]], shaken)]
    split = split_frames(frames_of(jobs + copies), SETTINGS)
    assert set(split[:30].tolist()) == {TRAIN, VALIDATION, TEST}
    np.testing.assert_array_equal(split[30:].reshape(30, 4), np.tile(split[:30, None], 4))


def test_labels_of_one_geometry_share_its_split() -> None:
    jobs = [make_job(number) for number in range(30)]
    dearer = [Job(job.configuration, CCSD, job.purpose) for job in jobs]
    split = split_frames(frames_of(jobs + dearer), SETTINGS)
    np.testing.assert_array_equal(split[:30], split[30:])


def test_chains_of_alike_frames_are_one_group() -> None:
    job = make_job(1)
    steps = [job.configuration.positions_A3 * (1 + 0.004 * step) for step in range(5)]
    frames = frames_of([at(job, step) for step in steps])
    assert len(set(alike_groups(frames, 0.015).tolist())) == 1
    assert len(set(alike_groups(frames, 0.0).tolist())) == 5


def test_what_was_bought_for_a_purpose_keeps_it_and_its_copies_follow() -> None:
    jobs = [make_job(number, XTB, Purpose(number % 4)) for number in range(40)]
    copies = [at(job, job.configuration.positions_A3 + 1) for job in jobs]
    split = split_frames(frames_of(jobs + copies), SETTINGS)
    purpose = np.arange(40) % 4
    for place in (np.arange(40), np.arange(40, 80)):
        assert set(split[place][purpose == Purpose.HOLDOUT].tolist()) == {TEST}
        assert set(split[place][purpose == Purpose.VALIDATION].tolist()) == {VALIDATION}


def test_a_frame_between_two_splits_is_left_out() -> None:
    job = make_job(1)
    here = job.configuration.positions_A3
    jobs = [at(job, here, Purpose.HOLDOUT), at(job, here, Purpose.VALIDATION), at(job, here)]
    assert split_frames(frames_of(jobs), SETTINGS).tolist() == [TEST, LEFT_OUT, LEFT_OUT]


def test_a_split_is_recorded_and_only_grows(tmp_path: Path) -> None:
    jobs = [make_job(number) for number in range(50)]
    with FrameStore.open_for_writing(tmp_path / "frames.zarr") as store:
        store.append([frame(seq + 1, job) for seq, job in enumerate(jobs[:20])])
        first = split_frames(load_frames(store.path), SETTINGS)
        store.add_column(COLUMN, first, str(SETTINGS))
        store.append([frame(seq + 21, job) for seq, job in enumerate(jobs[20:])])
        recorded = load_frames(store.path).added_F[COLUMN]
        assert recorded[20:].tolist() == [LEFT_OUT] * 30
        later = split_frames(load_frames(store.path), replace(SETTINGS, seed=5), recorded)
        store.add_column(COLUMN, later, str(SETTINGS))
        np.testing.assert_array_equal(load_frames(store.path).added_F[COLUMN], later)
        np.testing.assert_array_equal(later[:20], first)
        assert (later >= 0).all()
        with pytest.raises(InputError, match="would change"):
            store.add_column(COLUMN, 2 - later, str(SETTINGS))


def test_no_frames_and_lone_atoms() -> None:
    assert split_frames(Frames.empty(), SETTINGS).tolist() == []
    atom = Configuration("helium", (2,), np.zeros((1, 3)))
    elsewhere = Configuration("helium", (2,), np.ones((1, 3)))
    jobs = [Job(shape, XTB, Purpose.TRAIN) for shape in (atom, elsewhere)]
    assert len(set(split_frames(frames_of(jobs), SETTINGS).tolist())) == 1


@pytest.mark.parametrize(
    "shares", [(0.5, 0.5), (-0.1, 0.1), (float("nan"), 0.1), (1.0, 0.0), (0.1, 2.0)]
)
def test_bad_shares_are_refused(shares: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="less than 1"):
        SplitSettings(*shares)


def test_the_hold_out_is_locked_for_training(tmp_path: Path) -> None:
    with FrameStore.open_for_writing(tmp_path / "frames.zarr") as store:
        store.append([frame(1, make_job(1, XTB, Purpose.HOLDOUT)), frame(2, make_job(2))])
    with holdout_locked():
        assert len(load_frames(tmp_path / "frames.zarr")) == 1
        with pytest.raises(HoldoutLocked, match="final evaluation"):
            load_frames(tmp_path / "frames.zarr", (Purpose.HOLDOUT,))
        with pytest.raises(HoldoutLocked):
            load_frames(tmp_path / "frames.zarr", tuple(Purpose))
    assert len(load_frames(tmp_path / "frames.zarr", (Purpose.HOLDOUT,))) == 1
