"""Layers of GemNet-T: dense layers, residuals, the triplet interaction, sums over neighbours.

GemNet keeps activations near unit variance by constants: 1/√2 after each sum of two, 1/0.6 after
each SiLU. Multiplying every activation by them, in three passes of differentiation, costs as much
as a product of matrices. So a value here is a pair, `Sized`, of numbers and a constant by which
they have yet to be multiplied; the constant goes into the next small weight matrix.

Legend: `A` atoms, `K` slots, `C` channels of atoms or of messages, `N` radial functions.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from forgefield.trainers.graphs import Graph
from forgefield.trainers.model_settings import GemNetSettings
from forgefield.trainers.models.activations import silu

HALF = 1 / math.sqrt(2)
SILU_GAIN = 1 / 0.6
"""About 1/√Var[silu(x)] for x ~ N(0, 1)."""


class Sized(NamedTuple):
    """What is meant is `size` · `numbers`."""

    numbers: Tensor
    size: float = 1.0


def mean_of_two(first: Sized, second: Sized) -> Sized:
    """(first + second)/√2."""
    ratio = second.size / first.size
    return Sized(torch.add(first.numbers, second.numbers, alpha=ratio), first.size * HALF)


def he_orthogonal(*shape: int) -> Tensor:
    """Weights (…, out) of decorrelated columns with mean 0 and variance 1/fan_in."""
    matrix = torch.empty(math.prod(shape[:-1]), shape[-1])
    nn.init.orthogonal_(matrix)
    if len(matrix) > 1:
        matrix = (matrix - matrix.mean(dim=0)) / (matrix.var(dim=0) + 1e-6).sqrt()
    return (matrix / math.sqrt(len(matrix))).reshape(shape)


class Dense(nn.Module):
    """A linear map without bias."""

    def __init__(self, size_in: int, size_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(he_orthogonal(size_in, size_out))

    def forward(self, x: Sized) -> Tensor:
        """(…, size_in) to (…, size_out)."""
        return x.numbers @ (self.weight * x.size)


class Activated(nn.Module):
    """A linear map and SiLU/0.6."""

    def __init__(self, size_in: int, size_out: int) -> None:
        super().__init__()
        self.linear = Dense(size_in, size_out)

    def forward(self, x: Sized) -> Sized:
        """(…, size_in) to (…, size_out)."""
        return Sized(silu(self.linear(x)), SILU_GAIN)


class Residuals(nn.Module):
    """`count` times (x + two activated layers of x)/√2."""

    def __init__(self, channels: int, count: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Activated(channels, channels) for _ in range(2 * count))

    def forward(self, x: Sized) -> Sized:
        """The shape stays."""
        for first, second in zip(self.layers[0::2], self.layers[1::2], strict=True):
            x = mean_of_two(x, second(first(x)))
        return x


class EdgeEmbedding(nn.Module):
    """An activated layer of [h_a, h_c, m_ca], its atoms' part done before they are gathered."""

    def __init__(self, atom: int, edge: int, size_out: int) -> None:
        super().__init__()
        self.sizes = [atom, atom, edge]
        self.weight = nn.Parameter(he_orthogonal(2 * atom + edge, size_out))

    def forward(self, h: Sized, m: Sized, graph: Graph) -> Sized:
        """`h` (A, C), `m` (A, K, C) to (A, K, C)."""
        to, of, along = self.weight.split_with_sizes(self.sizes)
        ends = graph.at_neighbours(h.numbers @ (of * h.size))
        ends = ends + (h.numbers @ (to * h.size)).unsqueeze(1)
        return Sized(silu(ends + m.numbers @ (along * m.size)), SILU_GAIN)


class AtomUpdate(nn.Module):
    """Σ_c m_ca ⊙ W·radial(d_ca), then dense layers: (A, K, C) to (A, C)."""

    def __init__(self, settings: GemNetSettings) -> None:
        super().__init__()
        self.radial = Dense(settings.radial_channels, settings.edge_channels)
        self.dense = Activated(settings.edge_channels, settings.atom_channels)
        self.residuals = Residuals(settings.atom_channels, settings.residuals_atom)
        self.share = settings.neighbours**-0.5

    def forward(self, m: Sized, radial: Tensor, shared: Tensor) -> Sized:
        """`radial` (A, K, N), `shared` (N, R): the first layer that all blocks have in common."""
        filters = self.radial(Sized(shared))
        each = radial.transpose(1, 2) @ m.numbers
        summed = (each * filters).sum(dim=1)
        found: Sized = self.residuals(self.dense(Sized(summed, m.size * self.share)))
        return found


class TripletInteraction(nn.Module):
    """What messages b→a, b ≠ c, say to message c→a, and by that to a→c (arXiv 2106.08903, fig. 2).

    The bilinear layer Σ_b Σ_i basis_i(d_ac, ∠cab) x_ba W_i is two products of matrices for each
    atom: slots by slots, then basis and channels together.
    """

    def __init__(self, settings: GemNetSettings) -> None:
        super().__init__()
        edge, triplet = settings.edge_channels, settings.triplet_channels
        self.dense = Activated(edge, edge)
        self.radial = Dense(settings.radial_channels, edge)
        self.down = Activated(edge, triplet)
        self.bilinear = nn.Parameter(
            he_orthogonal(settings.circular_channels, triplet, settings.bilinear_channels)
        )
        self.up = Activated(settings.bilinear_channels, edge)
        self.up_back = Activated(settings.bilinear_channels, edge)
        self.share = settings.neighbours**-0.5

    def forward(
        self, m: Sized, radial: Tensor, shared: Tensor, basis: Tensor, graph: Graph
    ) -> Sized:
        """`m` (A, K, C), `radial` (A, K, N), `shared` (N, R), `basis` (A, K·B, K) to (A, K, C)."""
        x = self.dense(m)
        filters = radial @ self.radial(Sized(shared))
        x = self.down(Sized(x.numbers * filters, x.size))
        summed = self.over_triplets(x, basis)
        return mean_of_two(self.up(summed), self.up_back(Sized(graph.swapped(summed.numbers))))

    def over_triplets(self, x: Sized, basis: Tensor) -> Sized:
        """(A, K, C_triplet) to (A, K, C_bilinear)."""
        atoms, slots = x.numbers.shape[:2]
        weight = self.bilinear.flatten(0, 1) * (x.size * self.share)
        return Sized((basis @ x.numbers).reshape(atoms, slots, -1) @ weight)
