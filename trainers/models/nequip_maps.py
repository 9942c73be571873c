"""What NequIP does with the features of one atom: linear maps, and products of features.

Legend: `A` atoms, `C` channels, `M` = 2l + 1 components, `S` elements, `P` channels of products.
Features of order l are (A, M, C).
"""

import math

import torch
from torch import Tensor, nn

from forgefield.trainers.models.spherical import coupling, paths

Features = list[Tensor]

PRODUCT_GAIN = 0.5
"""Products begin as a quarter of the variance that they are added to."""


class SelfProduct(nn.Module):
    """x + W·[(Ux) ⊗ (Vx)]: products of an atom's own features, channel by channel.

    U and V take each order to P channels, and products of all pairs of orders that keep natural
    parity go back by one linear map for each order. It is MACE's symmetric contraction (arXiv
    2206.07697, eqs. 10-11) of correlation order 2, with low-rank weights shared by all elements.
    """

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
        for place, path in enumerate(self.paths):
            pairs = coupling(path).reshape(-1, 2 * path.l_in + 1, 2 * path.l_out + 1)
            flat = pairs.permute(2, 1, 0).flatten(start_dim=1)
            self.register_buffer(f"coupling_{place}", flat, persistent=False)

    def forward(self, features: Features) -> Features:
        """The features with their products added, shapes as before."""
        left = [mix(x) for mix, x in zip(self.left, features, strict=True)]
        right = [mix(x) for mix, x in zip(self.right, features, strict=True)]
        found: list[list[Tensor]] = [[] for _ in features]
        for place, path in enumerate(self.paths):
            pairs = left[path.l_in].unsqueeze(2) * right[path.l_edge].unsqueeze(1)
            table = getattr(self, f"coupling_{place}").to(pairs.dtype)
            found[path.l_out].append(table @ pairs.flatten(start_dim=1, end_dim=2))
        return [
            x + mix(torch.cat(parts, dim=2))
            for x, mix, parts in zip(features, self.back, found, strict=True)
        ]


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
