"""SchNet: continuous-filter convolutions.

Source: Schütt et al., arXiv 1706.08566, sections 3 and 4, sized and initialised as
torch-geometric's class: with the same weights and `fade="cosine"` energies and forces are the
same, which a test holds. The default envelope is another, because ½(cos(πr/r_c) + 1) leaves a
kink in the forces where an atom crosses the cutoff.

Legend: `A` atoms, `K` slots, `C` channels, `N` filters, `R` radial functions, `H` heads.
"""

import math

import torch
from torch import Tensor, nn

from forgefield.trainers.graphs import Graph
from forgefield.trainers.model_settings import SchNetSettings
from forgefield.trainers.models.bases import FADES, GaussianBasis
from forgefield.trainers.models.potential import Potential


class SchNet(Potential):
    """Atoms' energies after `layers` interactions."""

    def __init__(self, settings: SchNetSettings) -> None:
        super().__init__(settings)
        width = settings.channels
        self.fade = FADES[settings.fade]
        self.embedding = nn.Embedding(len(self.elements), width)
        self.radial = GaussianBasis(settings.radial, settings.cutoff)
        self.layers = nn.ModuleList(
            Interaction(width, settings.filters, settings.radial) for _ in range(settings.layers)
        )
        self.readout = nn.Sequential(
            dense(width, width // 2), ShiftedSoftplus(), dense(width // 2, settings.heads)
        )

    def atom_energies(self, graph: Graph) -> Tensor:
        """(A, H)."""
        feature = self.chosen(graph) @ self.embedding.weight
        _, distance = graph.gaps()
        radial, fade = self.radial(distance), self.fade(distance / self.cutoff)
        for layer in self.layers:
            feature = feature + layer(feature, radial, fade, graph)
        energy: Tensor = self.readout(feature)
        return energy


class Interaction(nn.Module):
    """x_i → W₂ ssp(W₁ Σ_j (W₀ x_j)·filter(r_ij)) (fig. 2 of the paper)."""

    def __init__(self, width: int, filters: int, radial: int) -> None:
        super().__init__()
        self.filter = nn.Sequential(
            dense(radial, filters), ShiftedSoftplus(), dense(filters, filters)
        )
        self.before = dense(width, filters, bias=False)
        self.after = nn.Sequential(dense(filters, width), ShiftedSoftplus(), dense(width, width))

    def forward(self, feature: Tensor, radial: Tensor, fade: Tensor, graph: Graph) -> Tensor:
        """Change of the features (A, C); `radial` (A, K, R), `fade` (A, K, 1)."""
        weight = self.filter(radial) * fade
        near = graph.at_neighbours(self.before(feature))
        change: Tensor = self.after((near * weight).sum(dim=1))
        return change


class ShiftedSoftplus(nn.Module):
    """ssp(x) = ln(½eˣ + ½): softplus that is zero at zero."""

    def forward(self, x: Tensor) -> Tensor:
        """Elementwise, any shape."""
        return nn.functional.softplus(x) - math.log(2)


def dense(size_in: int, size_out: int, *, bias: bool = True) -> nn.Linear:
    """A linear map with Glorot's uniform weights and zero biases."""
    layer = nn.Linear(size_in, size_out, bias=bias)
    nn.init.xavier_uniform_(layer.weight)
    if bias:
        with torch.no_grad():
            layer.bias.zero_()
    return layer
