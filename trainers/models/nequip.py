"""NequIP: equivariant messages by tensor products of features with spherical harmonics.

Source: Batzner et al., arXiv 2101.03164, as the `nequip` package (0.19, parity off) builds it;
with the same weights and `products=0` energies and forces are the same, which a test holds.
Features of order l keep the natural parity (−1)^l. Every linear map is scaled at run time, so that
weights have unit variance and one learning rate suits all.

Ours are the products of each atom's features with themselves between the interactions, after MACE
(arXiv 2206.07697): terms of more bodies for hardly any time, as there are fewer atoms than pairs.
Ours is the order of the work, too: harmonics are coupled once for all layers, and a message is a
product of small matrices over (slot, component) for each atom, so nothing of size (atoms × slots ×
paths × channels × components) is ever made.

Legend: `A` atoms, `K` slots, `C` channels, `M` = 2l + 1 components, `S` elements, `H` heads.
Features of order l are (A, M, C).
"""

import math

import torch
from torch import Tensor, nn

from forgefield.trainers.graphs import Graph
from forgefield.trainers.model_settings import NequIPSettings
from forgefield.trainers.models.activations import SiLU, silu
from forgefield.trainers.models.bases import BesselBasis, polynomial_envelope
from forgefield.trainers.models.nequip_maps import Features, PerElement, Scaled, SelfProduct
from forgefield.trainers.models.potential import Potential
from forgefield.trainers.models.spherical import Path, coupling, harmonics, paths

SILU_GAIN = 1.6791767923989418
"""1/√E[silu(x)²] for x ~ N(0, 1) as e3nn's `normalize2mom` samples it (exactly 1.67653)."""


class NequIP(Potential):
    """Atoms' energies after `layers` interactions; `channels[l]` features of each order l."""

    def __init__(self, settings: NequIPSettings) -> None:
        super().__init__(settings)
        self.largest = len(settings.channels) - 1
        self.radial = BesselBasis(settings.radial, settings.cutoff, trainable=False)
        self.embedding = nn.Parameter(torch.randn(len(self.elements), settings.species))
        scalars = settings.channels[:1]
        self.layers = nn.ModuleList(
            Layer(
                settings,
                channels_in=(settings.species,) if place == 0 else settings.channels,
                channels_out=scalars if place == settings.layers - 1 else settings.channels,
                remember=place > 0,
            )
            for place in range(settings.layers)
        )
        self.products = nn.ModuleList(
            SelfProduct(settings.channels, settings.products)
            for _ in range(settings.layers - 1 if settings.products else 0)
        )
        self.readout = Scaled(scalars[0], settings.heads)
        self.all_paths = paths(self.largest, self.largest, self.largest)
        for path in self.all_paths:
            self.register_buffer(_name(path), coupling(path), persistent=False)

    def atom_energies(self, graph: Graph) -> Tensor:
        """(A, H)."""
        gap, distance = graph.gaps()
        radial = self.radial(distance) * math.sqrt(2 / self.cutoff)
        radial = radial * polynomial_envelope(distance / self.cutoff)
        coupled = self._coupled(harmonics(gap / distance, self.largest))
        chosen = self.chosen(graph)
        features = [(chosen @ self.embedding).unsqueeze(1)]
        for place, layer in enumerate(self.layers):
            features = layer(features, radial, coupled, graph, self.embedding, chosen)
            if place < len(self.products):
                features = self.products[place](features)
        energy: Tensor = self.readout(features[0].squeeze(1))
        return energy

    def _coupled(self, harmonic: list[Tensor]) -> dict[Path, Tensor]:
        """For each path the matrix (A, M_out, K·M_in) that turns features into messages."""
        found = {}
        for path in self.all_paths:
            edge = harmonic[path.l_edge]
            table = edge @ getattr(self, _name(path)).to(edge.dtype)
            atoms, slots = table.shape[:2]
            table = table.reshape(atoms, slots * (2 * path.l_in + 1), 2 * path.l_out + 1)
            found[path] = table.transpose(1, 2)
        return found


def _name(path: Path) -> str:
    return f"coupling_{path.l_in}{path.l_edge}{path.l_out}"


class Layer(nn.Module):
    """One interaction (arXiv 2101.03164, fig. 1c) and its gate."""

    def __init__(
        self,
        settings: NequIPSettings,
        *,
        channels_in: tuple[int, ...],
        channels_out: tuple[int, ...],
        remember: bool,
    ) -> None:
        super().__init__()
        gates = sum(channels_out[1:])
        widths = (channels_out[0] + gates, *channels_out[1:])
        self.channels_in, self.channels_out = channels_in, channels_out
        self.paths = paths(len(channels_in) - 1, len(settings.channels) - 1, len(widths) - 1)
        self.share = settings.neighbours**-0.5
        mixed = [
            sum(channels_in[p.l_in] for p in self.paths if p.l_out == l) for l in range(len(widths))
        ]
        self.before = nn.ModuleList(Scaled(size, size) for size in channels_in)
        self.after = nn.ModuleList(Scaled(m, w) for m, w in zip(mixed, widths, strict=True))
        self.radial = nn.Sequential(
            Scaled(settings.radial, settings.radial_width),
            SiLU(),
            Scaled(
                settings.radial_width,
                sum(channels_in[path.l_in] for path in self.paths),
                gain=math.sqrt(2),
            ),
        )
        self.memory = (
            nn.ModuleList(
                PerElement(size, settings.species, width)
                for size, width in zip(channels_in, widths, strict=False)
            )
            if remember
            else None
        )

    def forward(
        self,
        features: Features,
        radial: Tensor,
        coupled: dict[Path, Tensor],
        graph: Graph,
        embedding: Tensor,
        chosen: Tensor,
    ) -> Features:
        """New features of each order; `radial` (A, K, R), `chosen` (A, S) one-hot."""
        near = [
            graph.at_neighbours(mix(x) * self.share)
            for mix, x in zip(self.before, features, strict=True)
        ]
        weight = torch.split(
            self.radial(radial), [self.channels_in[p.l_in] for p in self.paths], dim=2
        )
        summed: list[list[Tensor]] = [[] for _ in self.after]
        for path, w in zip(self.paths, weight, strict=True):
            weighted = near[path.l_in] * w.unsqueeze(2)
            flat = weighted.reshape(len(w), -1, w.shape[2])
            summed[path.l_out].append(coupled[path] @ flat)
        mixed = [
            mix(torch.cat(parts, dim=2)) for mix, parts in zip(self.after, summed, strict=True)
        ]
        if self.memory is not None:
            for l, remember in enumerate(self.memory):
                mixed[l] = mixed[l] + remember(features[l], embedding, chosen)
        return self._gate(mixed)

    def _gate(self, mixed: Features) -> Features:
        """Silu on scalars; higher orders times silu of scalars of their own."""
        scalar, *gates = torch.split(silu(mixed[0]) * SILU_GAIN, list(self.channels_out), dim=2)
        return [scalar, *(x * gate for x, gate in zip(mixed[1:], gates, strict=True))]
