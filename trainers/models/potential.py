"""What every model is: a graph goes in, one energy per frame comes out.

Models know nothing of units, reference energies, labels or training. Their energy is
dimensionless; `ForceField` multiplies it by a force scale times 1 Å and adds reference energies.
Forces are never predicted, always −∂E/∂x, so they conserve energy.

A model's `atom_energies` must be plain tensor code, so that it can be compiled: shapes depend on
shapes alone, nothing is read back from the device, nothing random happens. It is a sum of smooth
local terms: a neighbour's share goes to zero at the cutoff, with two derivatives unless its
settings ask for a paper's own envelope.

Legend: `F` frames, `A` atoms, `H` heads, `S` elements.
"""

from abc import ABC, abstractmethod
from typing import Protocol

import torch
from torch import Tensor, nn

from forgefield.trainers.graphs import Graph

LARGEST_NUMBER = 118


class CommonSettings(Protocol):
    """What the settings of every model have."""

    @property
    def cutoff(self) -> float:
        """Å."""

    @property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers that the model has weights for."""

    @property
    def heads(self) -> int:
        """Number of readouts."""


class Potential(nn.Module, ABC):
    """Base of all models; `cutoff` is the longest gap it looks at, Å; `heads` readouts share it."""

    row_of_number: Tensor
    one_hot: Tensor

    def __init__(self, settings: CommonSettings) -> None:
        super().__init__()
        self.settings = settings
        self.cutoff, self.heads = settings.cutoff, settings.heads
        self.elements = tuple(sorted(settings.elements))
        row = torch.full((LARGEST_NUMBER + 1,), len(self.elements))
        row[list(self.elements)] = torch.arange(len(self.elements))
        self.register_buffer("row_of_number", row, persistent=False)
        self.register_buffer("one_hot", torch.eye(len(self.elements)), persistent=False)

    def species(self, graph: Graph) -> Tensor:
        """Row of each atom's element in tables of `len(self.elements)` rows, (A,) int64.

        An element without weights gets a row beyond the table, which is an error of torch's.
        """
        return self.row_of_number.index_select(0, graph.numbers)

    def chosen(self, graph: Graph) -> Tensor:
        """One for each atom's element, else zero, (A, S).

        `chosen @ table` are the atoms' rows of a table, and what flows back to it is a product too:
        that of reading by index is scattered, on a GPU in any order.
        """
        return self.one_hot.index_select(0, self.species(graph))

    @abstractmethod
    def atom_energies(self, graph: Graph) -> Tensor:
        """Share of each atom in the energy of each head, (A, H), dimensionless."""

    def forward(self, graph: Graph) -> Tensor:
        """Energy of each frame by its own head, (F,), twice differentiable in the positions."""
        energy_AH = self.atom_energies(graph)
        energy_A = energy_AH.squeeze(1)
        if self.heads > 1:
            head_A1 = graph.head_F.index_select(0, graph.frame_A).unsqueeze(1)
            energy_A = energy_AH.gather(1, head_A1).squeeze(1)
        return graph.of_frames(energy_A)


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
