"""Spherical tensors up to l = 2 for compiled code: harmonics, couplings, and paths between them.

Conventions are e3nn's (component normalisation, real harmonics in the order −l…l with y as the
polar axis); the couplings are read from e3nn once, when a model is built.

Legend: `A` atoms, `K` slots, `M` = 2l + 1 components.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

LARGEST_L = 2


@dataclass(frozen=True, slots=True)
class Path:
    """Feature of order `l_in` times harmonic of order `l_edge` to order `l_out`."""

    l_in: int
    l_edge: int
    l_out: int


def paths(largest_in: int, largest_edge: int, largest_out: int) -> tuple[Path, ...]:
    """All paths that keep natural parity (−1)^l, sorted by `l_out`, then `l_in`, then `l_edge`."""
    return tuple(
        Path(l_in, l_edge, l_out)
        for l_out in range(largest_out + 1)
        for l_in in range(largest_in + 1)
        for l_edge in range(largest_edge + 1)
        if abs(l_in - l_edge) <= l_out <= l_in + l_edge and (l_in + l_edge + l_out) % 2 == 0
    )


def coupling(path: Path) -> Tensor:
    """Clebsch-Gordan tensor (M_edge, M_in·M_out), norm of its output components 1, float64."""
    from e3nn.o3 import wigner_3j

    tensor: Tensor = wigner_3j(path.l_in, path.l_edge, path.l_out, dtype=torch.float64)
    flat = tensor.permute(1, 0, 2).reshape(2 * path.l_edge + 1, -1)
    return flat * math.sqrt(2 * path.l_out + 1)


def harmonics(unit_AK3: Tensor, largest: int) -> list[Tensor]:
    """Real spherical harmonics of unit vectors, one (A, K, M) for each l up to `largest` ≤ 2."""
    x, y, z = unit_AK3.unbind(dim=2)
    found = [torch.ones_like(unit_AK3[..., :1])]
    if largest >= 1:
        found.append(unit_AK3 * 3**0.5)
    if largest >= LARGEST_L:
        rank_two = [
            15**0.5 * x * z,
            15**0.5 * x * y,
            5**0.5 * (y * y - 0.5 * (x * x + z * z)),
            15**0.5 * y * z,
            15**0.5 / 2 * (z * z - x * x),
        ]
        found.append(torch.stack(rank_two, dim=2))
    return found
