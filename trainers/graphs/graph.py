"""Molecular graphs in slots: every atom has the same number of places for neighbours.

Why: with a rectangular (A, K) table of neighbours a sum over neighbours is a sum over an axis,
and what flows back from a neighbour is read from the *reverse* slot instead of being scattered.
So is a sum over the atoms of a frame where all frames have as many. Such sums need no atomics and
don't depend on the order of threads, and shapes stay the same from batch to batch, so that a step
of training can be compiled once. Only frames of several sizes are added atom by atom, on a GPU in
any order.

Slots that an atom doesn't need hold the atom itself, moved beyond the cutoff: its envelope is
zero, so it says nothing, and no model needs a mask.

Legend: `F` frames, `A` atoms of all frames, `K` slots, `C` channels. Units: Å, eV, eV/Å.
"""

from dataclasses import dataclass

from torch import Tensor

from forgefield.trainers.graphs.exchange import gather, swap


@dataclass(frozen=True, slots=True)
class Graph:
    """A batch of molecules: what every model takes.

    `numbers` (A,) int64; `positions_A3` (A, 3); `neighbour_AK` (A, K) int64, which atom is in
    each slot; `reverse_AK` (A, K) int64, the flat slot `j·K + k'` in which that neighbour sees
    this atom; `shift_AK3` (A, K, 3), what has to be added to the neighbour's position; `frame_A`
    (A,) int64; `head_F` (F,) int64, which readout each frame asks for; `frames` their number;
    `atoms` that of every frame's atoms, `None` where they are of several sizes.
    """

    numbers: Tensor
    positions_A3: Tensor
    neighbour_AK: Tensor
    reverse_AK: Tensor
    shift_AK3: Tensor
    frame_A: Tensor
    head_F: Tensor
    frames: int
    atoms: int | None = None

    def of_frames(self, values: Tensor) -> Tensor:
        """Sums over the atoms of each frame: (A, …) to (F, …)."""
        shape = (self.frames, *values.shape[1:])
        if self.atoms is None:
            return values.new_zeros(shape).index_add(0, self.frame_A, values)
        return values.reshape(self.frames, self.atoms, *shape[1:]).sum(dim=1)

    def at_neighbours(self, values: Tensor) -> Tensor:
        """What each neighbour has: (A, …) to (A, K, …)."""
        return gather(values, self.neighbour_AK, self.reverse_AK)

    def swapped(self, values: Tensor) -> Tensor:
        """What each pair has the other way round: (A, K, …) to (A, K, …)."""
        return swap(values, self.reverse_AK)

    def gaps(self) -> tuple[Tensor, Tensor]:
        """Vectors from each atom to its neighbours (A, K, 3) and their lengths (A, K, 1), Å."""
        gap = self.at_neighbours(self.positions_A3) + self.shift_AK3
        gap = gap - self.positions_A3.unsqueeze(1)
        return gap, gap.square().sum(dim=2, keepdim=True).sqrt()


@dataclass(frozen=True, slots=True)
class Batch:
    """A graph with its labels: `energy_F` (F,), `forces_A3` (A, 3), `weight_F` (F,)."""

    graph: Graph
    energy_F: Tensor
    forces_A3: Tensor
    weight_F: Tensor
