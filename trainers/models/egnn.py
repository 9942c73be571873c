"""EGNN: E(n)-equivariant graph network with conservative forces.

Source: Satorras, Hoogeboom, Welling, arXiv 2102.09844, eqs. 3-6. Changes that molecules ask
for, each smooth, so that the energy has continuous second derivatives:

- distances enter through a radial basis rather than as one squared number;
- messages carry an envelope of the *original* distance, which vanishes with its first and
  second derivative at the cutoff;
- the first layer of φ_e acts on atoms before they are gathered: W[h_i, h_j, r] =
  W_i h_i + W_j h_j + W_r r, which is the same function at a third of the cost;
- a step of the coordinates is bounded, so that atoms can't run away.

Legend: `A` atoms, `K` slots, `C` channels, `H` heads.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from forgefield.trainers.graphs import Graph
from forgefield.trainers.model_settings import EGNNSettings
from forgefield.trainers.models.activations import SiLU, silu
from forgefield.trainers.models.bases import GaussianBasis, envelope
from forgefield.trainers.models.potential import Potential

MESSAGE_SCALE = 0.2
"""Keeps sums over about 5-20 neighbours near unit size."""
STEP = 1.0
"""Å: how far one neighbour can push an atom in one layer."""


class EGNN(Potential):
    """Atoms' energies after `layers` rounds of messages."""

    def __init__(self, settings: EGNNSettings) -> None:
        super().__init__(settings)
        width = settings.channels
        self.embedding = nn.Embedding(len(self.elements), width)
        self.radial = GaussianBasis(settings.radial, settings.cutoff)
        last = settings.layers - 1
        self.layers = nn.ModuleList(
            Layer(width, settings.radial, move=settings.move and place < last)
            for place in range(settings.layers)
        )
        self.readout = nn.Sequential(
            nn.Linear(width, width), SiLU(), nn.Linear(width, settings.heads)
        )

    def atom_energies(self, graph: Graph) -> Tensor:
        """(A, H)."""
        feature = self.chosen(graph) @ self.embedding.weight
        _, distance = graph.gaps()
        fade = envelope(distance / self.cutoff)
        for layer in self.layers:
            feature, position = layer(feature, fade, graph, self.radial)
            graph = replace(graph, positions_A3=position)
        readout: Tensor = self.readout(feature)
        return readout


class Layer(nn.Module):
    """One round: messages (eq. 3), coordinates (eq. 4), features (eqs. 5 and 6)."""

    def __init__(self, width: int, radial: int, *, move: bool) -> None:
        super().__init__()
        self.ends = nn.Linear(width, 2 * width)
        self.span = nn.Linear(radial, width, bias=False)
        self.edge = nn.Linear(width, width)
        self.node = nn.Sequential(nn.Linear(2 * width, width), SiLU(), nn.Linear(width, width))
        self.step = nn.Linear(width, 1) if move else None

    def forward(
        self, feature: Tensor, fade: Tensor, graph: Graph, radial: nn.Module
    ) -> tuple[Tensor, Tensor]:
        """New features (A, C) and positions (A, 3); `fade` (A, K, 1)."""
        gap, distance = graph.gaps()
        sender, receiver = self.ends(feature).chunk(2, dim=1)
        ends = graph.at_neighbours(sender) + receiver.unsqueeze(1)
        message = silu(ends + self.span(radial(distance)))
        message = silu(self.edge(message)) * fade
        gathered = message.sum(dim=1) * MESSAGE_SCALE
        feature = feature + self.node(torch.cat([feature, gathered], dim=1))
        position = graph.positions_A3
        if self.step is not None:
            push = gap / (distance + 1) * torch.tanh(self.step(message)) * fade
            position = position - STEP * push.sum(dim=1)
        return feature, position
