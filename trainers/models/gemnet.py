"""GemNet-T: messages between directed edges that see the angles between them.

Source: Gasteiger, Becker, Günnemann, arXiv 2106.08903, with forces as −∂E/∂x. The message in slot
k of atom a is that of the edge c→a from the atom in the slot; the one of a→c is in the reverse
slot. Everything is dense in slots: triplets are an (A, K, K) table, without lists or scattering.
No mask is needed, because every message is multiplied by an envelope wherever it is used.

What differs from the published code:
- its scale factors, fitted to activations of a data set, are replaced by a rule without data:
  the bases have unit mean square (`gemnet_bases`), and a sum over neighbours is divided by
  √`neighbours`, the number that an atom is taken to have;
- readouts are divided by √(blocks + 1), so that atoms' energies begin with unit variance;
- no table of elements beyond those trained on.

Legend: `A` atoms, `K` slots, `C` channels, `N` radial functions, `R` radial channels, `H` heads.
"""

import math

from torch import Tensor, nn

from forgefield.trainers.graphs import Graph
from forgefield.trainers.model_settings import GemNetSettings
from forgefield.trainers.models.gemnet_bases import RadialBasis, TripletBasis
from forgefield.trainers.models.gemnet_layers import (
    Activated,
    AtomUpdate,
    Dense,
    EdgeEmbedding,
    Residuals,
    Sized,
    TripletInteraction,
    he_orthogonal,
    mean_of_two,
)
from forgefield.trainers.models.potential import Potential


class GemNet(Potential):
    """Atoms' energies, read out before the first interaction and after each."""

    def __init__(self, settings: GemNetSettings) -> None:
        super().__init__(settings)
        atom, edge, radial = settings.atom_channels, settings.edge_channels, settings.radial
        self.embedding = nn.Embedding(len(self.elements), atom)
        nn.init.uniform_(self.embedding.weight, -math.sqrt(3), math.sqrt(3))
        self.radial = RadialBasis(radial, settings.cutoff)
        self.triplets = TripletBasis(
            settings.spherical, radial, settings.circular_channels, settings.cutoff
        )
        self.triplets.weight.data = he_orthogonal(*self.triplets.weight.shape)
        self.for_triplets = nn.Parameter(he_orthogonal(radial, settings.radial_channels))
        self.for_atoms = nn.Parameter(he_orthogonal(radial, settings.radial_channels))
        self.for_readouts = nn.Parameter(he_orthogonal(radial, settings.radial_channels))
        self.edges = EdgeEmbedding(atom, radial, edge)
        self.blocks = nn.ModuleList(Interaction(settings) for _ in range(settings.blocks))
        self.readouts = nn.ModuleList(Readout(settings) for _ in range(settings.blocks + 1))

    def atom_energies(self, graph: Graph) -> Tensor:
        """(A, H)."""
        gap, distance = graph.gaps()
        radial, basis = self.radial(distance), self.triplets(gap, distance)
        h = Sized(self.chosen(graph) @ self.embedding.weight)
        m = self.edges(h, Sized(radial), graph)
        energy: Tensor = self.readouts[0](m, radial, self.for_readouts)
        for block, readout in zip(self.blocks, self.readouts[1:], strict=True):
            h, m = block(h, m, radial, basis, self, graph)
            energy = energy + readout(m, radial, self.for_readouts)
        return energy / math.sqrt(len(self.readouts))


class Interaction(nn.Module):
    """Messages from triplets, atoms from messages, messages from atoms (fig. 2 of the paper)."""

    def __init__(self, settings: GemNetSettings) -> None:
        super().__init__()
        atom, edge = settings.atom_channels, settings.edge_channels
        self.dense = Activated(edge, edge)
        self.triplets = TripletInteraction(settings)
        self.before = Residuals(edge, settings.residuals_before)
        self.after = Residuals(edge, settings.residuals_after)
        self.atoms = AtomUpdate(settings)
        self.edges = EdgeEmbedding(atom, edge, edge)
        self.last = Residuals(edge, settings.residuals_last)

    def forward(
        self, h: Sized, m: Sized, radial: Tensor, basis: Tensor, shared: GemNet, graph: Graph
    ) -> tuple[Sized, Sized]:
        """New `h` (A, C) and `m` (A, K, C); `radial` (A, K, N), `basis` (A, K·B, K)."""
        heard = self.triplets(m, radial, shared.for_triplets, basis, graph)
        m = mean_of_two(m, self.before(mean_of_two(self.dense(m), heard)))
        m = self.after(m)
        h = mean_of_two(h, self.atoms(m, radial, shared.for_atoms))
        return h, mean_of_two(m, self.last(self.edges(h, m, graph)))


class Readout(nn.Module):
    """Messages to energies of atoms."""

    def __init__(self, settings: GemNetSettings) -> None:
        super().__init__()
        self.atoms = AtomUpdate(settings)
        self.last = Dense(settings.atom_channels, settings.heads)

    def forward(self, m: Sized, radial: Tensor, shared: Tensor) -> Tensor:
        """`m` (A, K, C), `radial` (A, K, N), `shared` (N, R) to (A, H)."""
        energy: Tensor = self.last(self.atoms(m, radial, shared))
        return energy
