"""How good models are on validation frames while they are trained.

Legend: `M` models, `A` atoms of a batch.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from forgefield.trainers.graphs import Batch, Graph, GraphSet
from forgefield.trainers.models.potential import Potential, energy_and_forces

LEAST = 32
"""Frames at once, or as many as a step trains on where those are more."""


def force_error(model: Potential, data: GraphSet, batch: int) -> float:
    """Mean |F − f| over the known force components of all frames, in the labels' unit."""
    return float(force_errors(lambda graph: energy_and_forces(model, graph)[1][None], data, batch))


def force_errors(forces_of: Callable[[Graph], Tensor], data: GraphSet, batch: int) -> Tensor:
    """The same of several models, (M,) float64; `forces_of` gives (M, A, 3) of a graph.

    NaN where no component is known.
    """
    summed_M, count = torch.zeros((), dtype=torch.float64), 0
    for cut in cuts(data, max(batch, LEAST)):
        known = torch.isfinite(cut.forces_A3)
        gap_MA3 = (forces_of(cut.graph) - cut.forces_A3).abs().double()
        summed_M = summed_M + torch.stack([gap_A3[known].sum() for gap_A3 in gap_MA3]).cpu()
        count += int(known.sum())
    return summed_M / count if count else torch.full_like(summed_M, torch.nan)


def cuts(data: GraphSet, size: int) -> Iterator[Batch]:
    """All frames in their order, `size` at a time."""
    for start in range(0, len(data), size):
        yield data.batch(np.arange(start, min(start + size, len(data))))
