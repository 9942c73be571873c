"""What NequIP does with the features of one atom: linear maps, and products of features.

Legend: `A` atoms, `C` channels, `M` = 2l + 1 components, `S` elements, `P` channels of products.
Features of order l are (A, M, C).
"""

import math

import torch
from torch import Tensor, nn

from forgefield.trainers.models.spherical import Path, coupling, paths

Features = list[Tensor]

PRODUCT_GAIN = 0.5
"""A network begins nearly without products: features begin small and these are quadratic, so they
have less than a hundredth of the mean square that they are added to. Training raises that to a
tenth (l ≥ 1). A gain of 5 begins with a tenth, and gained nothing (LOG.md)."""


class SelfProduct(nn.Module):
    """x + W·[(Ux) ⊗ (Vx)]: products of an atom's own features, channel by channel.

    U and V take each order to P channels, and products of all pairs of orders that keep natural
    parity go back by one linear map for each order. MACE's symmetric contraction (arXiv 2206.07697)
    of correlation order 2 is akin: its factors are one and the same map of the summed messages,
    where these are two of the gated features.

    Of a `Path`, `l_in` is the order on the left, `l_edge` that on the right.
    """

    table: Tensor

    def __init__(self, channels: tuple[int, ...], width: int) -> None:
        super().__init__()
        largest = len(channels) - 1
        self.width = width
        self.paths = paths(largest, largest, largest)
        self.left = nn.ModuleList(Scaled(size, width) for size in channels)
        self.right = nn.ModuleList(Scaled(size, width) for size in channels)
        self.back = nn.ModuleList(
            Scaled(width * sum(path.l_out == l for path in self.paths), size, gain=PRODUCT_GAIN)
            for l, size in enumerate(channels)
        )
        self.rows = [
            sum(2 * l + 1 for path in self.paths if path.l_out == l) for l in range(largest + 1)
        ]
        self.register_buffer("table", _table(self.paths, largest), persistent=False)

    def forward(self, features: Features) -> Features:
        """The features with their products added, shapes as before."""
        left = torch.cat([mix(x) for mix, x in zip(self.left, features, strict=True)], dim=1)
        right = torch.cat([mix(x) for mix, x in zip(self.right, features, strict=True)], dim=1)
        pairs = (left.unsqueeze(2) * right.unsqueeze(1)).flatten(start_dim=1, end_dim=2)
        products = self.table.to(pairs.dtype) @ pairs
        found = torch.split(products, self.rows, dim=1)
        return [
            x + mix(self._by_component(each, x.shape[1]))
            for x, mix, each in zip(features, self.back, found, strict=True)
        ]

    def _by_component(self, products: Tensor, components: int) -> Tensor:
        """(A, paths·M, P) to (A, M, paths·P)."""
        each = products.reshape(len(products), -1, components, self.width)
        return each.transpose(1, 2).flatten(start_dim=2)


def _table(all_paths: tuple[Path, ...], largest: int) -> Tensor:
    """Couplings of all paths: a row for each path and component, a column for each pair."""
    components = (largest + 1) ** 2
    of_order = [slice(l**2, (l + 1) ** 2) for l in range(largest + 1)]
    rows = []
    for path in all_paths:
        blocks = torch.zeros(2 * path.l_out + 1, components, components, dtype=torch.float64)
        pairs = coupling(path).reshape(-1, 2 * path.l_in + 1, 2 * path.l_out + 1)
        blocks[:, of_order[path.l_in], of_order[path.l_edge]] = pairs.permute(2, 1, 0)
        rows.append(blocks.flatten(start_dim=1))
    return torch.cat(rows)


class Scaled(nn.Module):
    """x·W·gain/√(size_in), W of unit variance; no bias."""

    def __init__(self, size_in: int, size_out: int, *, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(size_in, size_out))
        self.scale = gain / math.sqrt(size_in)

    def forward(self, x: Tensor) -> Tensor:
        """(…, size_in) to (…, size_out)."""
        return x @ (self.weight * self.scale)


class PerElement(nn.Module):
    """A linear map of its own for each element: Σ_v embedding[s, v]·W[v], scaled like `Scaled`."""

    def __init__(self, size_in: int, species: int, size_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(species, size_in, size_out))
        self.scale = 1 / math.sqrt(size_in * species)

    def forward(self, x: Tensor, embedding: Tensor, chosen: Tensor) -> Tensor:
        """`x` (A, M, C) to (A, M, C'); `embedding` (S, species), `chosen` (A, S)."""
        species, size_in, size_out = self.weight.shape
        table = embedding @ (self.weight * self.scale).reshape(species, -1)
        table = table.reshape(-1, size_in, size_out).permute(1, 0, 2).reshape(size_in, -1)
        each = (x @ table).reshape(*x.shape[:2], -1, size_out)
        return (each * chosen[:, None, :, None]).sum(dim=2)
