"""Molecular graphs in batches, collated from flat arrays.

Why: the frames are ragged arrays in memory, and a batch is cut out of them by index arithmetic
alone. No loop over frames, no object per frame, so collation never limits training.

Legend: `F` frames, `A` atoms of all frames, `E` directed edges. Units: Å, eV, eV/Å.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forgefield.storage.frames import Frames

Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Graph:
    """A batch of molecules: what every model takes.

    `numbers` (A,) int64; `positions_A3` (A, 3); `source` and `target` (E,) int64, sorted by
    target, messages go from source to target; `frame_A` (A,) int64; `frames` their number.
    """

    numbers: Tensor
    positions_A3: Tensor
    source: Tensor
    target: Tensor
    frame_A: Tensor
    frames: int


@dataclass(frozen=True, slots=True)
class Batch:
    """A graph with its labels: `energy_F` (F,), `forces_A3` (A, 3), `weight_F` (F,)."""

    graph: Graph
    energy_F: Tensor
    forces_A3: Tensor
    weight_F: Tensor


def ragged_ranges(starts: Index, counts: Index) -> Index:
    """`concatenate([arange(s, s + c) …])` without a loop."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.asarray(np.arange(total) + np.repeat(starts - (ends - counts), counts))


def all_pairs(ptr: Index) -> tuple[Index, Index]:
    """Source and target of every ordered pair i ≠ j inside a frame, sorted by target."""
    counts = np.diff(ptr)
    per_atom = np.repeat(counts, counts)
    source = ragged_ranges(np.repeat(ptr[:-1], counts), per_atom)
    target = np.repeat(np.arange(int(ptr[-1])), per_atom)
    keep = source != target
    return source[keep], target[keep]


class GraphSet:
    """Frames with their edges, ready to be cut into batches.

    Everything is kept in float64; `batch` rounds to the wanted type, so energies should be
    relative to reference energies by then, or digits are lost.
    """

    def __init__(
        self,
        frames: Frames,
        cutoff: float,
        *,
        energy_F: NDArray[np.float64] | None = None,
        weight_F: NDArray[np.float64] | None = None,
        scale: float = 1.0,
    ) -> None:
        """Find all edges shorter than `cutoff` (Å); `weight_F` (F,) defaults to ones.

        `energy_F` (F,) replaces the frames' energies, normally by those relative to the
        reference energies; energies and forces are divided by `scale` (eV/Å).
        """
        self._ptr: Index = np.asarray(frames.ptr, dtype=np.int64)
        self._numbers = np.asarray(frames.numbers, dtype=np.int64)
        self._positions = np.asarray(frames.positions_A3, dtype=np.float64)
        self._forces = np.asarray(frames.forces_A3, dtype=np.float64) / scale
        energy_F = frames.energy_F if energy_F is None else energy_F
        self._energy = np.asarray(energy_F, dtype=np.float64) / scale
        self._weight = np.ones(len(frames)) if weight_F is None else np.asarray(weight_F)
        self._link(cutoff)

    def _link(self, cutoff: float) -> None:
        source, target = all_pairs(self._ptr)
        gap = self._positions[source] - self._positions[target]
        near = np.einsum("ij,ij->i", gap, gap) < cutoff**2
        self._source, self._target = source[near], target[near]
        self._edge_ptr: Index = np.searchsorted(self._target, self._ptr)

    def __len__(self) -> int:
        return len(self._ptr) - 1

    def batch(
        self,
        index_F: Index,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Batch:
        """The frames of `index_F`, in that order, as one graph."""
        counts = self._ptr[index_F + 1] - self._ptr[index_F]
        edges = self._edge_ptr[index_F + 1] - self._edge_ptr[index_F]
        atom = ragged_ranges(self._ptr[index_F], counts)
        edge = ragged_ranges(self._edge_ptr[index_F], edges)
        shift = np.repeat(np.cumsum(counts) - counts - self._ptr[index_F], edges)

        def tensor(values: NDArray[Any], kind: torch.dtype = dtype) -> Tensor:
            return torch.from_numpy(values).to(device=device, dtype=kind)

        graph = Graph(
            numbers=tensor(self._numbers[atom], torch.int64),
            positions_A3=tensor(self._positions[atom]),
            source=tensor(self._source[edge] + shift, torch.int64),
            target=tensor(self._target[edge] + shift, torch.int64),
            frame_A=tensor(np.repeat(np.arange(len(index_F)), counts), torch.int64),
            frames=len(index_F),
        )
        return Batch(
            graph,
            tensor(self._energy[index_F]),
            tensor(self._forces[atom]),
            tensor(self._weight[index_F]),
        )
