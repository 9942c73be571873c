"""Collation from flat arrays gives what a loop over frames would."""

import numpy as np
import torch

from forgefield.storage.frames import Frames
from forgefield.storage.settled_frames import StoredFrame, from_stored
from forgefield.storage.testing import labelled, make_job
from forgefield.trainers.graphs import GraphSet, ragged_ranges


def mixed_frames() -> Frames:
    stored = []
    for number in range(9):
        outcome = labelled(make_job(number))
        stored.append(StoredFrame(number + 1, outcome.job, outcome.result, 1))
    return from_stored(stored)


def test_ragged_ranges_concatenate_ranges() -> None:
    found = ragged_ranges(np.array([5, 0, 2]), np.array([2, 0, 3]))
    assert found.tolist() == [5, 6, 2, 3, 4]


def test_batches_of_mixed_molecules_hold_each_frames_own_edges_and_labels() -> None:
    frames, cutoff = mixed_frames(), 1.7
    picked = np.array([7, 0, 4, 4])
    batch = GraphSet(frames, cutoff).batch(picked, torch.float64)
    edges, first = set(), 0
    for place, frame in enumerate(picked):
        atoms = frames.atoms_of(frame)
        positions = frames.positions_A3[atoms]
        size = len(positions)
        mine = slice(first, first + size)
        np.testing.assert_array_equal(batch.graph.positions_A3[mine], positions)
        np.testing.assert_array_equal(batch.forces_A3[mine], frames.forces_A3[atoms])
        np.testing.assert_array_equal(batch.graph.numbers[mine], frames.numbers[atoms])
        assert batch.graph.frame_A[mine].tolist() == [place] * size
        for i in range(size):
            for j in range(size):
                if i != j and np.linalg.norm(positions[i] - positions[j]) < cutoff:
                    edges.add((first + i, first + j))
        first += size
    found = list(zip(batch.graph.source.tolist(), batch.graph.target.tolist(), strict=True))
    assert len(found) == len(edges)
    assert set(found) == edges
    np.testing.assert_array_equal(batch.energy_F, frames.energy_F[picked])


def test_no_frames_and_no_edges_are_fine() -> None:
    assert len(GraphSet(from_stored([]), 5.0)) == 0
    batch = GraphSet(mixed_frames(), 1e-3).batch(np.array([1, 2]))
    assert len(batch.graph.source) == 0
    assert batch.graph.frames == 2
