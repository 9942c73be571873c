"""Slots and collation from flat arrays give what a loop over frames would."""

import numpy as np
import pytest
import torch

from forgefield.storage.frames import Frames
from forgefield.storage.settled_frames import StoredFrame, from_stored
from forgefield.storage.testing import labelled, make_job
from forgefield.trainers.graphs import Graph, GraphSet, neighbours
from forgefield.trainers.graphs.exchange import gather
from forgefield.trainers.graphs.graph_set import graph_of_one
from forgefield.trainers.graphs.neighbours import into_slots, near_pairs, ragged_ranges

CUTOFF = 1.7
PICKED = np.array([7, 0, 4, 4])


@pytest.fixture(scope="module")
def frames() -> Frames:
    """Nine frames of several molecules."""
    stored = []
    for number in range(9):
        outcome = labelled(make_job(number))
        stored.append(StoredFrame(number + 1, outcome.job, outcome.result, 1))
    return from_stored(stored)


def pairs_in(graph: Graph, cutoff: float) -> list[tuple[int, int]]:
    """Who sees whom within the cutoff, one entry a slot."""
    _, distance = graph.gaps()
    near = distance.squeeze(2) < cutoff
    atom, slot = near.nonzero().T
    return list(zip(atom.tolist(), graph.neighbour_AK[atom, slot].tolist(), strict=True))


@pytest.mark.parametrize("picked", [PICKED, np.array([4, 4, 4])])
def test_sums_over_the_atoms_of_frames_are_those_of_a_loop(
    picked: np.ndarray, frames: Frames
) -> None:
    """By shape where frames are of one size, else atom by atom; numbers and matrices alike."""
    graph = GraphSet(frames, CUTOFF, dtype=torch.float64).batch(picked).graph
    sizes = [len(frames.positions_A3[frames.atoms_of(place)]) for place in picked]
    assert graph.atoms == (sizes[0] if len(set(sizes)) == 1 else None)
    for shape in ((), (3, 3)):
        values = torch.randn(sum(sizes), *shape, dtype=torch.float64)
        looped = torch.stack([part.sum(0) for part in values.split(sizes)])
        torch.testing.assert_close(graph.of_frames(values), looped)


def test_ragged_ranges_concatenate_ranges() -> None:
    found = ragged_ranges(np.array([5, 0, 2]), np.array([2, 0, 3]))
    assert found.tolist() == [5, 6, 2, 3, 4]


def test_batches_of_mixed_molecules_hold_each_frames_own_pairs_and_labels(frames: Frames) -> None:
    batch = GraphSet(frames, CUTOFF, dtype=torch.float64).batch(PICKED)
    pairs, first = set(), 0
    for place, frame in enumerate(PICKED):
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
                if i != j and np.linalg.norm(positions[i] - positions[j]) < CUTOFF:
                    pairs.add((first + i, first + j))
        first += size
    found = pairs_in(batch.graph, CUTOFF)
    assert len(found) == len(pairs) > 20
    assert set(found) == pairs
    np.testing.assert_array_equal(batch.energy_F, frames.energy_F[PICKED])


@pytest.mark.parametrize("slots", [1, 9])
def test_every_slot_has_a_reverse_and_padding_is_out_of_reach(frames: Frames, slots: int) -> None:
    graphs = GraphSet(frames, CUTOFF, slots=slots, dtype=torch.float64)
    graph = graphs.batch(PICKED).graph
    atoms, width = graph.neighbour_AK.shape
    assert width == graphs.slots >= slots
    own = torch.arange(atoms * width).reshape(atoms, width)
    reverse = graph.reverse_AK
    assert torch.equal(reverse.reshape(-1)[reverse], own)
    assert torch.equal(graph.neighbour_AK.reshape(-1)[reverse], own // width)
    gap, distance = graph.gaps()
    torch.testing.assert_close(gap.reshape(-1, 3)[reverse] + gap, padded_twice(graph))
    padded = reverse == own
    assert padded.any()
    assert (~padded).any()
    assert torch.equal(graph.neighbour_AK[padded], (own // width)[padded])
    assert distance[padded].min() > 1.99 * CUTOFF
    assert distance[~padded].max() < CUTOFF


def padded_twice(graph: Graph) -> torch.Tensor:
    """A gap and that of its reverse cancel, but for padding, which is its own reverse."""
    own = torch.arange(graph.reverse_AK.numel()).reshape(graph.reverse_AK.shape)
    return 2 * graph.shift_AK3 * (graph.reverse_AK == own).unsqueeze(2)


def test_reading_from_neighbours_has_its_derivatives(frames: Frames) -> None:
    graph = GraphSet(frames, CUTOFF).batch(PICKED).graph
    torch.manual_seed(0)
    values = torch.randn(len(graph.numbers), 2, dtype=torch.float64, requires_grad=True)
    assert torch.equal(graph.at_neighbours(values), values[graph.neighbour_AK])

    def read(x: torch.Tensor) -> torch.Tensor:
        return gather(x, graph.neighbour_AK, graph.reverse_AK).sin()

    assert torch.autograd.gradcheck(read, values, fast_mode=True)
    assert torch.autograd.gradgradcheck(read, values, fast_mode=True)


@pytest.mark.parametrize("at_once", [1, 30, 10**6])
def test_pairs_of_all_frames_are_those_of_each(
    at_once: int, frames: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "AT_ONCE", at_once)
    ptr = np.asarray(frames.ptr)
    found = near_pairs(ptr, frames.positions_A3, CUTOFF)
    alone = []
    for frame in range(len(frames)):
        atoms = frames.atoms_of(frame)
        inside = np.array([0, atoms.stop - atoms.start])
        pairs = near_pairs(inside, frames.positions_A3[atoms], CUTOFF)
        alone.append(np.stack([pairs.atom, pairs.neighbour]) + atoms.start)
    np.testing.assert_array_equal(np.stack([found.atom, found.neighbour]), np.hstack(alone))
    assert len(near_pairs(np.array([0]), np.empty((0, 3)), CUTOFF).atom) == 0


def test_order_of_pairs_does_not_matter(frames: Frames) -> None:
    ptr = np.asarray(frames.ptr)
    pairs = near_pairs(ptr, frames.positions_A3, CUTOFF)
    order = np.random.default_rng(0).permutation(len(pairs.atom))
    mixed = type(pairs)(
        pairs.atom[order], pairs.neighbour[order], pairs.image_E3[order], pairs.shift_E3[order]
    )
    size = len(frames.numbers)
    one, other = into_slots(pairs, size, CUTOFF), into_slots(mixed, size, CUTOFF)
    np.testing.assert_array_equal(one.neighbour_AK, other.neighbour_AK)
    np.testing.assert_array_equal(one.reverse_AK, other.reverse_AK)


def test_a_single_configuration_is_a_batch_of_one(frames: Frames) -> None:
    frame = frames.select(np.array([3]))
    batch = GraphSet(frame, CUTOFF, dtype=torch.float64).batch(np.array([0])).graph
    pairs = near_pairs(np.asarray(frame.ptr), frame.positions_A3, CUTOFF)
    slots = into_slots(pairs, len(frame.numbers), CUTOFF)
    alone = graph_of_one(frame.numbers, frame.positions_A3, slots, torch.float64, "cpu")
    for name in ("numbers", "positions_A3", "neighbour_AK", "reverse_AK", "shift_AK3", "frame_A"):
        assert torch.equal(getattr(batch, name), getattr(alone, name)), name


def test_no_frames_and_no_pairs_are_fine(frames: Frames) -> None:
    assert len(GraphSet(from_stored([]), 5.0)) == 0
    graph = GraphSet(frames, 1e-3).batch(np.array([1, 2])).graph
    assert pairs_in(graph, 1e-3) == []
    assert graph.frames == 2
