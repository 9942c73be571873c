"""What every model is: a graph goes in, one energy per frame comes out.

Models know nothing of units, references, labels or training. Their energy is dimensionless;
`ForceField` multiplies it by a force scale times 1 Å and adds reference energies. Forces are
never predicted, always −∂E/∂x, so they conserve energy.

Legend: `F` frames, `A` atoms.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from forgefield.trainers.graphs import Graph


class Potential(nn.Module, ABC):
    """Base of all models; `cutoff` is the longest edge it looks at, Å."""

    cutoff: float

    @abstractmethod
    def forward(self, graph: Graph) -> Tensor:
        """Energy of each frame, (F,), dimensionless, twice differentiable in the positions."""


def energy_and_forces(
    model: Potential, graph: Graph, *, training: bool = False
) -> tuple[Tensor, Tensor]:
    """Energy (F,) and −∂E/∂x (A, 3); with `training` the forces can be differentiated."""
    with torch.enable_grad():
        graph.positions_A3.requires_grad_()
        energy_F = model(graph)
        (slope_A3,) = torch.autograd.grad(
            energy_F.sum(), graph.positions_A3, create_graph=training, materialize_grads=True
        )
    if training:
        return energy_F, -slope_A3
    return energy_F.detach(), -slope_A3
