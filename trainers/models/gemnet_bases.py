"""What GemNet-T reads from the geometry: radial functions, and the basis of triplets.

DimeNet's spherical Fourier-Bessel functions (arXiv 2003.03123, eq. 6),

    b_ln(d, α) = √(2/r_c³)/|j_{l+1}(z_ln)| · j_l(z_ln d/r_c) · Y_l0(α),   z_ln the n-th root of j_l,

times an envelope of d. Closed forms of j_l lose all digits at short distances in float32. But j_l
has no frequency above z_ln/r_c and is even or odd in d as l is, so on [0, r_c] it is a sum of a
few cosines or sines of common frequencies with coefficients of moderate size (a Fourier extension,
fitted once in float64 to about 1e-8): smooth at d = 0, right to rounding, and one small product.

Y_l0 is a polynomial of cos α, never of α, so that its derivatives are finite where α is 0 or π.

Both bases are divided by their root mean square over distances spread evenly from `NEAREST` on,
for triplets up to the cutoff, with angles spread evenly over the sphere, for radial functions up to
`NEAR` of the cutoff, where the neighbours are that say most. That takes the place of the published
scale factors, which are fitted to data, and comes close to them: 3.8 for 3.0-3.5 (radial functions)
and, with √12 neighbours, 5.5 for 5.6-6.4 (triplets), at a cutoff of 5 Å.

Legend: `A` atoms, `K` slots, `L` orders, `N` radial functions, `J` frequencies, `B` basis
channels. Å.
"""

import math
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from forgefield.trainers.models.bases import BesselBasis, polynomial_envelope

NEAREST = 0.9
"""Å: about the shortest bond."""
NEAR = 0.6
FADING = 5
"""Power of GemNet's envelope."""
STRETCH = 1.5
"""Half period of the lowest frequency / cutoff."""

Real = NDArray[np.float64]


class RadialBasis(nn.Module):
    """Enveloped Bessel functions with unit mean square: (A, K, N)."""

    def __init__(self, size: int, cutoff: float) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.bessel = BesselBasis(size, cutoff)
        d = _distances(NEAR * cutoff).reshape(1, -1, 1)
        with torch.no_grad():
            self.scale = float(self._enveloped(d).square().mean()) ** -0.5

    def forward(self, distance: Tensor) -> Tensor:
        """`distance` (A, K, 1)."""
        scaled: Tensor = self._enveloped(distance) * self.scale
        return scaled

    def _enveloped(self, distance: Tensor) -> Tensor:
        fade = polynomial_envelope(distance / self.cutoff, FADING)
        found: Tensor = self.bessel(distance) * fade
        return found


class TripletBasis(nn.Module):
    """Σ_ln b_ln(d_ac, ∠cab) W_lni for each slot c of an atom a and each other slot b.

    `weight` is W, (L, N, B).
    """

    even: Tensor
    odd: Tensor
    frequency: Tensor

    def __init__(self, orders: int, size: int, channels: int, cutoff: float) -> None:
        super().__init__()
        self.cutoff, self.orders, self.channels = cutoff, orders, channels
        self.weight = nn.Parameter(torch.empty(orders, size, channels))
        waves, spans = fourier_bessel(orders, size)
        seen = _waves(_distances(cutoff) / cutoff, waves, spans)
        fade = polynomial_envelope(_distances(cutoff) / cutoff, FADING).numpy()
        scale = np.mean(np.square(seen * fade[:, None, None])) ** -0.5
        self.register_buffer("frequency", torch.as_tensor(waves), persistent=False)
        for name, first in (("even", 0), ("odd", 1)):
            table = torch.as_tensor(spans[:, first::2] * scale)
            self.register_buffer(name, table, persistent=False)

    def forward(self, gap: Tensor, distance: Tensor) -> Tensor:
        """`gap` (A, K, 3), `distance` (A, K, 1) to (A, K·B, K): a matrix for each atom."""
        atoms, slots = gap.shape[:2]
        unit = gap / distance
        angular = legendre(unit @ unit.transpose(1, 2), self.orders)
        others = 1 - torch.eye(slots, dtype=gap.dtype, device=gap.device)
        table = torch.stack(angular[0::2] + angular[1::2], dim=2) * others.unsqueeze(1)
        mixed = self._radial(distance).transpose(2, 3) @ table
        return mixed.reshape(atoms, slots * self.channels, slots)

    def _radial(self, distance: Tensor) -> Tensor:
        """(A, K, L, B), even orders first."""
        ratio = distance / self.cutoff
        phase = ratio * self.frequency.to(ratio.dtype)
        halves = [
            wave @ torch.einsum("jln,lnb->jlb", table.to(ratio.dtype), weight).flatten(1)
            for wave, table, weight in (
                (torch.cos(phase), self.even, self.weight[0::2]),
                (torch.sin(phase), self.odd, self.weight[1::2]),
            )
        ]
        joined = torch.cat(halves, dim=2) * polynomial_envelope(ratio, FADING)
        return joined.reshape(*joined.shape[:2], self.orders, self.channels)


def legendre(cosine: Tensor, orders: int) -> list[Tensor]:
    """√(2l+1)·P_l, that is √4π·Y_l0, of any shape: mean square 1 over the sphere."""
    found = [torch.ones_like(cosine), cosine]
    for l in range(2, orders):
        found.append(((2 * l - 1) * cosine * found[-1] - (l - 1) * found[-2]) / l)
    return [p * math.sqrt(2 * l + 1) for l, p in enumerate(found[:orders])]


def fourier_bessel(orders: int, size: int) -> tuple[Real, Real]:
    """Frequencies (J,) and coefficients (J, L, N) of the radial functions of t = d/r_c ≤ 1.

    Order l is Σ_j cos(ω_j t) c_jln where l is even and Σ_j sin(ω_j t) c_jln where it is odd, with
    ∫ b² t² dt = 1.
    """
    from scipy.special import spherical_jn

    roots = bessel_roots(orders, size)
    count = math.ceil(roots.max() * STRETCH / math.pi) + 10
    waves = np.arange(count) * math.pi / STRETCH
    t = (1 - np.cos(np.linspace(0, math.pi, 8 * count))) / 2
    spans = np.empty((count, orders, size))
    for l in range(orders):
        wanted = spherical_jn(l, t[:, None] * roots[l])
        wanted *= math.sqrt(2) / np.abs(spherical_jn(l + 1, roots[l]))
        wave = np.sin if l % 2 else np.cos
        spans[:, l] = np.linalg.lstsq(wave(t[:, None] * waves), wanted, rcond=1e-10)[0]
    return waves, spans


def bessel_roots(orders: int, size: int) -> Real:
    """First `size` positive roots of j_0 … j_{orders-1}: those of j_l part those of j_{l+1}."""
    from scipy.optimize import brentq
    from scipy.special import spherical_jn

    roots = [math.pi * np.arange(1, size + orders)]
    for l in range(1, orders):
        ends = pairwise(roots[-1])
        roots.append(np.array([brentq(lambda x, l=l: spherical_jn(l, x), *end) for end in ends]))
    return np.stack([row[:size] for row in roots])


def _distances(last: float) -> Tensor:
    grid = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    nearest = min(NEAREST, last / 2)
    return nearest + grid * (last - nearest)


def _waves(t: Tensor, waves: Real, spans: Real) -> Real:
    """Radial functions (T, L, N) at `t` (T,)."""
    phase = t.numpy()[:, None] * waves
    found: Real = np.einsum("tj,jln->tln", np.cos(phase), spans)
    found[:, 1::2] = np.einsum("tj,jln->tln", np.sin(phase), spans[:, 1::2])
    return found
