"""How good a model is on validation frames while it is trained."""

import math

import numpy as np
import torch

from forgefield.trainers.graphs import GraphSet
from forgefield.trainers.models.potential import Potential, energy_and_forces


def force_error(model: Potential, data: GraphSet, batch: int) -> float:
    """Mean |F − f| over the known force components of all frames, in the labels' unit."""
    summed, count = 0.0, 0
    for start in range(0, len(data), max(batch, 32)):
        index = np.arange(start, min(start + max(batch, 32), len(data)))
        cut = data.batch(index)
        _, forces_A3 = energy_and_forces(model, cut.graph)
        gap = (forces_A3 - cut.forces_A3).abs().double()
        known = torch.isfinite(cut.forces_A3)
        summed, count = summed + float(gap[known].sum()), count + int(known.sum())
    return summed / count if count else math.nan
