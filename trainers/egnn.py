"""EGNN: E(n)-equivariant graph network with conservative forces.

Source: Satorras, Hoogeboom, Welling, arXiv 2102.09844, eqs. 3-6. Changes that molecules ask
for, each smooth, so that the energy has continuous second derivatives:

- distances enter through a radial basis rather than as one squared number;
- messages carry an envelope of the *original* distance, which vanishes with its first and
  second derivative at the cutoff;
- the first layer of φ_e acts on atoms before they are gathered onto edges: W[h_i, h_j, r] =
  W_i h_i + W_j h_j + W_r r, which is the same function at a third of the cost;
- a step of the coordinates is bounded, so that atoms can't run away.

Legend: `A` atoms, `E` edges, `C` channels, `R` radial functions, `F` frames.
"""

import torch
from torch import Tensor, nn
from torch_geometric.utils import scatter

from forgefield.trainers.activations import SiLU, silu
from forgefield.trainers.graphs import Graph
from forgefield.trainers.potential import Potential
from forgefield.trainers.settings import EGNNSettings


class EGNN(Potential):
    """Atoms' energies after `layers` rounds of messages, summed over each frame."""

    def __init__(self, settings: EGNNSettings) -> None:
        super().__init__()
        width = settings.channels
        self.cutoff = settings.cutoff
        self.embedding = nn.Embedding(settings.elements, width)
        self.radial = GaussianBasis(settings.radial, settings.cutoff)
        last = settings.layers - 1
        self.layers = nn.ModuleList(
            Layer(width, settings.radial, move=settings.move and place < last)
            for place in range(settings.layers)
        )
        self.readout = nn.Sequential(nn.Linear(width, width), SiLU(), nn.Linear(width, 1))

    def forward(self, graph: Graph) -> Tensor:
        """Dimensionless energy of each frame, (F,)."""
        position, feature = graph.positions_A3, self.embedding(graph.numbers)
        _, distance = gaps(position, graph)
        fade = envelope(distance / self.cutoff)
        for layer in self.layers:
            feature, position = layer(feature, position, fade, graph, self.radial)
        atom_energy = self.readout(feature).squeeze(1)
        return total(atom_energy, graph.frame_A, graph.frames)


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
        self, feature: Tensor, position: Tensor, fade: Tensor, graph: Graph, radial: nn.Module
    ) -> tuple[Tensor, Tensor]:
        """New features (A, C) and positions (A, 3)."""
        gap, distance = gaps(position, graph)
        sender, receiver = self.ends(feature).chunk(2, dim=1)
        ends = sender.index_select(0, graph.source) + receiver.index_select(0, graph.target)
        message = silu(torch.addmm(ends, radial(distance), self.span.weight.t()))
        message = silu(self.edge(message)) * fade
        gathered = total(message, graph.target, len(feature)) * MESSAGE_SCALE
        feature = feature + self.node(torch.cat([feature, gathered], dim=1))
        if self.step is not None:
            push = gap / (distance + 1) * torch.tanh(self.step(message)) * fade
            position = position + STEP * total(push, graph.target, len(feature))
        return feature, position


class GaussianBasis(nn.Module):
    """exp(−½((r − μ)/σ)²) on an even grid of μ up to the cutoff, σ its spacing: (E, R)."""

    centers: Tensor

    def __init__(self, size: int, cutoff: float) -> None:
        super().__init__()
        self.sharpness = (size - 1) / cutoff
        self.register_buffer("centers", torch.linspace(0, cutoff, size), persistent=False)

    def forward(self, distance: Tensor) -> Tensor:
        """`distance` (E, 1), Å."""
        return torch.exp(-0.5 * ((distance - self.centers) * self.sharpness).square())


MESSAGE_SCALE = 0.2
"""Keeps sums over about 5-20 neighbours near unit size."""
STEP = 1.0
"""Å: how far one neighbour can push an atom in one layer."""


def gaps(position: Tensor, graph: Graph) -> tuple[Tensor, Tensor]:
    """Vectors from source to target (E, 3) and their lengths (E, 1), never exactly zero."""
    gap = position.index_select(0, graph.target) - position.index_select(0, graph.source)
    return gap, (gap.square().sum(dim=1, keepdim=True) + 1e-8).sqrt()


def envelope(ratio: Tensor) -> Tensor:
    """1 − 10u³ + 15u⁴ − 6u⁵ of u = r/cutoff, 0 beyond: two continuous derivatives."""
    u = ratio.clamp(max=1.0)
    return 1 - u * u * u * (10 - 15 * u + 6 * u * u)


def total(values: Tensor, index: Tensor, size: int) -> Tensor:
    """Sum of `values` by `index` along the first axis."""
    summed: Tensor = scatter(values, index, dim=0, dim_size=size, reduce="sum")
    return summed
