"""Splits: the same for everybody, recorded, and crossed by no near-duplicate."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from forgefield.storage import likeness
from forgefield.storage.errors import HoldoutLocked, InputError
from forgefield.storage.frame_store import FrameStore, load_frames
from forgefield.storage.frame_store.holdout import holdout_locked
from forgefield.storage.frames import Frames
from forgefield.storage.likeness import EXTREMES, likeness_features
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
    holdout_twins,
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


def boxed(positions: Array, cell: Array) -> Job:
    numbers = make_job(1).configuration.numbers
    return Job(Configuration("box", numbers, positions, cell_33=cell), XTB, Purpose.TRAIN)


def test_another_order_of_the_species_stays_together() -> None:
    jobs = [make_job(number) for number in range(1, 91, 3)]
    order = [2, 0, 4, 1, 3]
    others = []
    for job in jobs:
        shape = job.configuration
        numbers = tuple(shape.numbers[atom] for atom in order)
        moved = Configuration("other", numbers, shape.positions_A3[order])
        others.append(Job(moved, job.method, job.purpose))
    split = split_frames(frames_of(jobs + others), SETTINGS)
    assert set(split.tolist()) == {TRAIN, VALIDATION, TEST}
    np.testing.assert_array_equal(split[:30], split[30:])


@pytest.mark.parametrize(
    "cell",
    [
        np.diag([6.0, 5.0, 7.0]),
        np.array([[6.0, 0, 0], [2.0, 5.0, 0], [-1.0, 2.0, 7.0]]),
        np.array([[6.0, 0, 0], [3.0, 5.0, 0], [0, 0, 0]]),
    ],
)
def test_images_of_a_box_and_other_vectors_of_its_lattice_stay_together(cell: Array) -> None:
    random = np.random.default_rng(0)
    turn = Rotation.random(rng=np.random.default_rng(1)).as_matrix()
    skewed = cell.copy()
    skewed[1] += 2 * cell[0]
    if cell[2].any():
        skewed[2] += cell[1] - cell[0]
    jobs, copies = [], []
    for _ in range(30):
        here = random.uniform(0, 6, (5, 3))
        moved = here + random.integers(-2, 3, (5, 3)) @ cell
        jobs.append(boxed(here, cell))
        copies += [boxed(moved, cell), boxed(moved @ turn, cell @ turn), boxed(here, skewed)]
    frames = frames_of(jobs + copies)
    assert len(set(alike_groups(frames, 0.01).tolist())) == 30
    split = split_frames(frames, SETTINGS)
    np.testing.assert_array_equal(split[30:].reshape(30, 3), np.tile(split[:30, None], 3))


def test_distances_in_a_skewed_box_are_those_that_ase_finds() -> None:
    cell = np.array([[4.0, 0, 0], [3.9, 1.5, 0], [3.0, 1.0, 5.0]])
    positions = np.random.default_rng(2).uniform(-9, 9, (5, 3))
    numbers = make_job(1).configuration.numbers
    frames = frames_of([boxed(positions, cell)])
    found = likeness_features(frames, np.array([0]))[0]
    expected = Atoms(numbers, positions, cell=cell, pbc=True).get_all_distances(mic=True)
    np.testing.assert_allclose(np.sort(found[4:]), np.sort(expected[np.triu_indices(5, 1)]))


def test_boxes_of_other_sizes_are_not_alike() -> None:
    here = make_job(1).configuration.positions_A3
    frames = frames_of([boxed(here, np.eye(3) * side) for side in (20.0, 20.005, 20.1)])
    assert alike_groups(frames, 0.01).tolist() == [0, 0, 1]
    free = at(make_job(1), here)
    assert len(set(alike_groups(frames_of([free, boxed(here, np.eye(3) * 20)]), 0.01))) == 2


def test_large_frames_are_compared_in_bounded_memory_and_no_twin_is_missed() -> None:
    random = np.random.default_rng(3)
    waters, cell = (8, 1, 1) * 216, np.eye(3) * 18.6
    jobs = []
    for number in range(4):
        here = random.uniform(0, 18.6, (648, 3))
        order = random.permutation(648)
        shaken = here[order] + random.uniform(-0.002, 0.002, (648, 3)) + random.normal(size=3)
        numbers = tuple(np.array(waters)[order].tolist())
        for atoms, positions in ((waters, here), (numbers, shaken)):
            shape = Configuration(f"box {number}", atoms, positions, cell_33=cell)
            jobs.append(Job(shape, XTB, Purpose.TRAIN))
    frames = frames_of(jobs)
    tracemalloc.start()
    try:
        assert alike_groups(frames, 0.01).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
        assert tracemalloc.get_traced_memory()[1] < 2**27
    finally:
        tracemalloc.stop()
    assert likeness_features(frames, np.arange(8)).shape[1] <= EXTREMES + 3 + 4


def test_where_distances_would_fill_the_memory_no_twin_is_missed_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    jobs = [make_job(number) for number in range(1, 91, 3)]
    jobs += [at(job, -job.configuration.positions_A3) for job in jobs]
    usual = alike_groups(frames_of(jobs), 0.01)
    monkeypatch.setattr(likeness, "MOST_DISTANCES", 0)
    monkeypatch.setattr(likeness, "AT_ONCE", 7)
    np.testing.assert_array_equal(alike_groups(frames_of(jobs), 0.01), usual)


def test_a_hold_out_bought_after_the_split_stays_the_test_and_its_twins_are_counted() -> None:
    jobs = [make_job(number) for number in range(60)]
    before = split_frames(frames_of(jobs), SETTINGS)
    trained = np.flatnonzero(before == TRAIN)[:5]
    twins = [
        at(jobs[place], jobs[place].configuration.positions_A3 + 1, Purpose.HOLDOUT)
        for place in trained
    ]
    frames = frames_of([*jobs, *twins, make_job(1000, XTB, Purpose.HOLDOUT)])
    given = np.concatenate([before, np.full(6, -1)])
    split = split_frames(frames, SETTINGS, given)
    np.testing.assert_array_equal(split[:60], before)
    assert split[60:].tolist() == [TEST] * 6
    assert holdout_twins(frames, split, alike_groups(frames, SETTINGS.threshold)) == 5
    at_once = split_frames(frames, SETTINGS)
    assert holdout_twins(frames, at_once, alike_groups(frames, SETTINGS.threshold)) == 0


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
