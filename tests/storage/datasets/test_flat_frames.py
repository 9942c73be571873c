"""Batches cut from flat arrays hold the very frames that were asked for."""

from pathlib import Path

import numpy as np

from forgefield.storage.datasets import FlatFrames
from forgefield.storage.frame_store import load_frames


def test_a_batch_is_those_frames_in_that_order(path: Path) -> None:
    frames = load_frames(path)
    flat = FlatFrames.of(frames, several_methods=True)
    index = np.array([17, 3, 3, 100])
    batch, expected = flat.batch(index), frames.select(index)
    for name in (
        "ptr",
        "numbers",
        "positions_A3",
        "forces_A3",
        "energy_F",
        "seq_F",
        "cell_F33",
        "method_F",
        "charge_F",
        "multiplicity_F",
    ):
        np.testing.assert_array_equal(getattr(batch, name), getattr(expected, name), name)
    np.testing.assert_array_equal(batch.stress_F33, expected.stress_F33)
    assert batch.frame_A.tolist() == [f for f in range(4) for _ in range(*batch.ptr[f : f + 2])]
    assert len(flat.batch([])) == 0


def test_energies_keep_their_digits_in_single_precision(path: Path) -> None:
    flat = FlatFrames.of(load_frames(path), np.float32, several_methods=True)
    assert flat.positions_A3.dtype == flat.forces_A3.dtype == np.float32
    assert flat.energy_F.dtype == np.float64


def test_boxes_are_there_only_where_some_frame_has_one(path: Path) -> None:
    frames = load_frames(path)
    free = FlatFrames.of(frames.select(frames.seq_F % 3 != 0), several_methods=True)
    boxed = FlatFrames.of(frames.select(frames.seq_F % 3 == 0), several_methods=True)
    assert free.cell_F33 is None
    both = FlatFrames.concatenate([free, boxed])
    assert both.cell_F33 is not None
    assert np.isnan(both.cell_F33[: len(free)]).all()
    np.testing.assert_array_equal(both.cell_F33[len(free) :], boxed.cell_F33)
    assert both.seq_F.tolist() == [*free.seq_F, *boxed.seq_F]
    assert FlatFrames.concatenate([free, free]).cell_F33 is None
