"""Graphs for tests of models: few lines from positions to the graph that a model takes."""

import numpy as np
import torch
from torch import Tensor

from forgefield.trainers.graphs import Graph
from forgefield.trainers.graphs.boxes import pairs_of_frames
from forgefield.trainers.graphs.neighbours import into_slots

NUMBERS = torch.tensor([6, 8, 1, 1, 1, 1])
ELEMENTS = (1, 6, 8)
CUTOFF = 3.0


def positions(seed: int = 0) -> Tensor:
    """Six atoms in no order, no two on top of each other: (6, 3) float64, Å."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        x = 1.2 * torch.randn(6, 3, generator=generator, dtype=torch.float64)
        if torch.pdist(x).min() > 0.7:
            return x


def rotation(seed: int, *, mirror: bool = False) -> Tensor:
    """A random rotation, or one with a reflection: (3, 3)."""
    generator = torch.Generator().manual_seed(seed)
    q, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    return q * (torch.linalg.det(q).sign() * (-1 if mirror else 1))


def graph_of(
    *molecules: Tensor,
    numbers: Tensor = NUMBERS,
    cutoff: float = CUTOFF,
    slots: int = 1,
    reach: float | None = None,
    cell: Tensor | None = None,
    heads: tuple[int, ...] = (),
) -> Graph:
    """One frame for each of `molecules` (A, 3), all with the same `numbers` and `cell`.

    Pairs up to `reach` are in the table, by default a bit more than the cutoff.
    """
    sizes = [len(x) for x in molecules]
    ptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    x = torch.cat(molecules)
    box = np.full((3, 3), np.nan) if cell is None else cell.numpy()
    reach = cutoff + 0.1 if reach is None else reach
    cells = np.tile(box, (len(sizes), 1, 1))
    pairs = pairs_of_frames(ptr, x.detach().double().numpy(), cells, reach)
    table = into_slots(pairs, len(x), cutoff, at_least=slots)
    return Graph(
        numbers=numbers.repeat(len(sizes)),
        positions_A3=x.detach().clone(),
        neighbour_AK=torch.from_numpy(table.neighbour_AK),
        reverse_AK=torch.from_numpy(table.reverse_AK),
        shift_AK3=torch.from_numpy(table.shift_AK3).to(x.dtype),
        frame_A=torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes)),
        head_F=torch.tensor(heads or [0] * len(sizes)),
        frames=len(sizes),
    )
