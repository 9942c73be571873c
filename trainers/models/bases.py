"""Radial functions and envelopes that models share.

Legend: `A` atoms, `K` slots, `R` radial functions; distances (A, K, 1) in Å.
"""

import math

import torch
from torch import Tensor, nn


class GaussianBasis(nn.Module):
    """exp(−½((r − μ)/σ)²) on an even grid of μ up to the cutoff, σ its spacing: (A, K, R)."""

    centers: Tensor

    def __init__(self, size: int, cutoff: float) -> None:
        super().__init__()
        self.sharpness = (size - 1) / cutoff
        self.register_buffer("centers", torch.linspace(0, cutoff, size), persistent=False)

    def forward(self, distance: Tensor) -> Tensor:
        """`distance` (A, K, 1)."""
        return torch.exp(-0.5 * ((distance - self.centers) * self.sharpness).square())


class BesselBasis(nn.Module):
    """√(2/r_c)·sin(nπr/r_c)/r, n = 1…R (DimeNet, arXiv 2003.03123, eq. 7): (A, K, R).

    The frequencies nπ are parameters where `trainable`.
    """

    def __init__(self, size: int, cutoff: float, *, trainable: bool = True) -> None:
        super().__init__()
        self.cutoff = cutoff
        frequency = math.pi * torch.arange(1, size + 1, dtype=torch.float64)
        if trainable:
            self.frequency = nn.Parameter(frequency.float())
        else:
            self.register_buffer("frequency", frequency)

    def forward(self, distance: Tensor) -> Tensor:
        """`distance` (A, K, 1)."""
        frequency = self.frequency.to(distance.dtype)
        wave = torch.sin(distance * frequency / self.cutoff) / distance
        return math.sqrt(2 / self.cutoff) * wave


def polynomial_envelope(ratio: Tensor, power: int = 6) -> Tensor:
    """DimeNet's u(r/r_c) (arXiv 2003.03123, eq. 8), 0 beyond: `power − 1` smooth derivatives at 0.

    1 − (p+1)(p+2)/2 u^p + p(p+2) u^(p+1) − p(p+1)/2 u^(p+2), two derivatives vanish at u = 1.
    """
    u = ratio.clamp(max=1.0)
    p = power
    bracket = (p + 1) * (p + 2) / 2 - p * (p + 2) * u + p * (p + 1) / 2 * u * u
    return 1 - u**p * bracket


def envelope(ratio: Tensor) -> Tensor:
    """1 − 10u³ + 15u⁴ − 6u⁵ of u = r/cutoff, 0 beyond: two continuous derivatives."""
    return polynomial_envelope(ratio, 3)


def cosine_envelope(ratio: Tensor) -> Tensor:
    """½(cos(πu) + 1) of u = r/cutoff, 0 beyond (Behler): its second derivative jumps at u = 1."""
    return 0.5 * (torch.cos(math.pi * ratio.clamp(max=1.0)) + 1)


FADES = {"smooth": envelope, "cosine": cosine_envelope}
"""By the `fade` of a model's settings."""
