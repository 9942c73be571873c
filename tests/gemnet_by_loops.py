"""GemNet-T written out from its paper: edge by edge, triplet by triplet, atom by atom.

It takes the weights of a network of ours and shares no code with it but the roots of the Bessel
functions, which a test holds against their definition. Source: arXiv 2106.08903; DimeNet (arXiv
2003.03123) for the bases. Energies are in the network's own unit.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from graphs_at_hand import CUTOFF, ELEMENTS, NUMBERS
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.special import eval_legendre, spherical_jn
from torch import Tensor

from forgefield.trainers.model_settings import GemNetSettings
from forgefield.trainers.models.gemnet import GemNet, Interaction, Readout
from forgefield.trainers.models.gemnet_bases import NEAREST, bessel_roots
from forgefield.trainers.models.gemnet_layers import AtomUpdate, Residuals, TripletInteraction

SETTINGS = GemNetSettings(
    cutoff=CUTOFF,
    elements=ELEMENTS,
    blocks=2,
    atom_channels=7,
    edge_channels=6,
    triplet_channels=5,
    radial_channels=4,
    circular_channels=3,
    bilinear_channels=5,
    spherical=4,
    radial=3,
    residuals_after=2,
    residuals_last=1,
    residuals_atom=1,
    neighbours=5.0,
)
Edge = tuple[int, int]
PerEdge = dict[Edge, Tensor]


def fade(t: float) -> float:
    """The paper's envelope with p = 5."""
    return 1 - 21 * t**5 + 35 * t**6 - 15 * t**7 if t < 1 else 0.0


@lru_cache
def roots_of(orders: int, size: int) -> NDArray[np.float64]:
    return bessel_roots(orders, size)


def fourier_bessel(l: int, n: int, t: float) -> float:
    """Of unit norm on the unit ball, times the envelope, as DimeNet has it."""
    root = roots_of(7, 6)[l, n]
    norm = math.sqrt(2) / abs(spherical_jn(l + 1, root))
    return float(norm * spherical_jn(l, root * t) * fade(t))


def rms_of_triplet_basis() -> float:
    """By adaptive quadrature instead of a grid."""
    first, size = NEAREST / CUTOFF, SETTINGS.spherical * SETTINGS.radial
    squares = [
        quad(lambda t, l=l, n=n: fourier_bessel(l, n, t) ** 2, first, 1)[0] / (1 - first)
        for l in range(SETTINGS.spherical)
        for n in range(SETTINGS.radial)
    ]
    return math.sqrt(sum(squares) / size)


def act(x: Tensor) -> Tensor:
    return x * torch.sigmoid(x) / 0.6


def residuals(layers: Residuals, x: Tensor) -> Tensor:
    weights = [layer.linear.weight for layer in layers.layers]  # type: ignore[union-attr]
    for first, second in zip(weights[0::2], weights[1::2], strict=True):
        x = (x + act(act(x @ first) @ second)) / math.sqrt(2)
    return x


class Literal:
    """The network on lists of edges c→a, (c, a), with loops over triplets."""

    def __init__(self, model: GemNet, x: Tensor) -> None:
        self.model = model
        self.atoms = range(len(x))
        gap = {(c, a): x[c] - x[a] for c in self.atoms for a in self.atoms if c != a}
        self.unit = {e: v / v.norm() for e, v in gap.items() if v.norm() < CUTOFF}
        self.length = {e: float(gap[e].norm()) for e in self.unit}
        self.rms = rms_of_triplet_basis()
        self.radial = {e: self._radial(d) for e, d in self.length.items()}
        self.circular = {e: self._circular(d) for e, d in self.length.items()}

    def _radial(self, d: float) -> Tensor:
        waves = np.sin(self.model.radial.bessel.frequency.tolist() * np.array(d / CUTOFF)) / d
        scale = self.model.radial.scale * math.sqrt(2 / CUTOFF) * fade(d / CUTOFF)
        return torch.tensor(waves * scale)

    def _circular(self, d: float) -> Tensor:
        """Radial part of the basis of triplets (L, N)."""
        orders, size = range(SETTINGS.spherical), range(SETTINGS.radial)
        table = [[fourier_bessel(l, n, d / CUTOFF) for n in size] for l in orders]
        return torch.tensor(table, dtype=torch.float64) / self.rms

    def embed(self, weight: Tensor, h: list[Tensor], m: PerEdge) -> PerEdge:
        """Messages from both ends and what was there before."""
        return {(c, a): act(torch.cat([h[a], h[c], m[c, a]]) @ weight) for c, a in m}

    def hear(self, layer: TripletInteraction, m: PerEdge) -> PerEdge:
        """What triplets say to each message."""
        filters = self.model.for_triplets @ layer.radial.weight
        x = {e: act(m[e] @ layer.dense.linear.weight) * (self.radial[e] @ filters) for e in m}
        x = {e: act(v @ layer.down.linear.weight) for e, v in x.items()}
        summed = {e: self.over_triplets(layer, e, x) for e in m}
        up, back = layer.up.linear.weight, layer.up_back.linear.weight
        return {
            (c, a): (act(summed[c, a] @ up) + act(summed[a, c] @ back)) / math.sqrt(2) for c, a in m
        }

    def over_triplets(self, layer: TripletInteraction, edge: Edge, x: PerEdge) -> Tensor:
        """Σ_b Σ_i basis_i(d_ca, ∠cab) x_ba W_i over the edges b→a with b ≠ c."""
        c, a = edge
        total = torch.zeros(SETTINGS.bilinear_channels, dtype=torch.float64)
        for b in self.atoms:
            if b == c or (b, a) not in x:
                continue
            cosine = float(self.unit[edge] @ self.unit[b, a])
            angular = [
                math.sqrt(2 * l + 1) * eval_legendre(l, cosine) for l in range(SETTINGS.spherical)
            ]
            each = self.circular[edge] * torch.tensor(angular)[:, None]
            basis = torch.einsum("ln,lni->i", each, self.model.triplets.weight)
            total = total + torch.einsum("i,c,ico->o", basis, x[b, a], layer.bilinear)
        return total / math.sqrt(SETTINGS.neighbours)

    def update(self, layer: AtomUpdate, m: PerEdge, shared: Tensor) -> list[Tensor]:
        """Sums over neighbours and dense layers, an atom at a time."""
        filters = shared @ layer.radial.weight
        found = []
        for atom in self.atoms:
            each = [m[c, a] * (self.radial[c, a] @ filters) for c, a in m if a == atom]
            summed = sum(each, torch.zeros(SETTINGS.edge_channels, dtype=torch.float64))
            summed = summed / math.sqrt(SETTINGS.neighbours)
            found.append(residuals(layer.residuals, act(summed @ layer.dense.linear.weight)))
        return found

    def interact(
        self, block: Interaction, h: list[Tensor], m: PerEdge
    ) -> tuple[list[Tensor], PerEdge]:
        """One block."""
        half, heard = 1 / math.sqrt(2), self.hear(block.triplets, m)
        x = {e: (act(m[e] @ block.dense.linear.weight) + heard[e]) * half for e in m}
        m = {e: residuals(block.after, (m[e] + residuals(block.before, x[e])) * half) for e in m}
        told = self.update(block.atoms, m, self.model.for_atoms)
        h = [(old + new) * half for old, new in zip(h, told, strict=True)]
        new_m = self.embed(block.edges.weight, h, m)
        return h, {e: (m[e] + residuals(block.last, new_m[e])) * half for e in m}

    def read(self, readout: Readout, m: PerEdge) -> Tensor:
        """Energy of all atoms by one readout."""
        atoms = self.update(readout.atoms, m, self.model.for_readouts)
        return sum((h @ readout.last.weight for h in atoms), torch.zeros(1).double())

    def energy(self) -> Tensor:
        """Of the whole molecule."""
        model = self.model
        h = [model.embedding.weight[ELEMENTS.index(int(number))] for number in NUMBERS]
        m = self.embed(model.edges.weight, h, self.radial)
        total = self.read(model.readouts[0], m)  # type: ignore[arg-type]
        for block, readout in zip(model.blocks, model.readouts[1:], strict=True):
            h, m = self.interact(block, h, m)  # type: ignore[arg-type]
            total = total + self.read(readout, m)  # type: ignore[arg-type]
        return total / math.sqrt(SETTINGS.blocks + 1)
