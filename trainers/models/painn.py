"""PaiNN: messages of scalars and vectors.

Source: Schütt, Unke, Gastegger, arXiv 2102.03150, eqs. 5-10 and fig. 2. With `fade="cosine"` it is
the paper's network, which a test holds pair by pair. The default envelope has a second
derivative at the cutoff, and ‖V v‖ is rounded off by `SOFT`, because it has a cusp where the
symmetry of a molecule makes a vector vanish.

Weights that the paper has but that never act are left out: in the first layer vectors are still
zero and can't be sent, after the last nobody reads them.

Legend: `A` atoms, `K` slots, `C` channels, `R` radial functions, `H` heads. Vector features are
(A, 3, C).
"""

import torch
from torch import Tensor, nn

from forgefield.trainers.graphs import Graph
from forgefield.trainers.model_settings import PaiNNSettings
from forgefield.trainers.models.activations import SiLU
from forgefield.trainers.models.bases import FADES, BesselBasis
from forgefield.trainers.models.potential import Potential
from forgefield.trainers.models.schnet import dense

SOFT = 0.01
"""‖v‖ is √(v² + SOFT²); vectors of a fresh network are of size 0.1 to 1."""


class PaiNN(Potential):
    """Atoms' energies after `layers` rounds of messages and updates."""

    def __init__(self, settings: PaiNNSettings) -> None:
        super().__init__(settings)
        width, last = settings.channels, settings.layers - 1
        self.fade = FADES[settings.fade]
        self.embedding = nn.Embedding(len(self.elements), width)
        self.radial = BesselBasis(settings.radial, settings.cutoff, trainable=False)
        self.messages = nn.ModuleList(
            Message(width, settings.radial, vectors=place > 0) for place in range(settings.layers)
        )
        self.updates = nn.ModuleList(
            Update(width, vectors=place < last) for place in range(settings.layers)
        )
        self.readout = nn.Sequential(
            dense(width, width // 2), SiLU(), dense(width // 2, settings.heads)
        )

    def atom_energies(self, graph: Graph) -> Tensor:
        """(A, H)."""
        gap, distance = graph.gaps()
        fade = self.fade(distance / self.cutoff)
        radial = torch.cat([self.radial(distance) * fade, fade], dim=2)
        unit_A3K = (gap / distance).transpose(1, 2)
        scalar = self.chosen(graph) @ self.embedding.weight
        vector = scalar.new_zeros(len(scalar), 3, scalar.shape[1])
        for message, update in zip(self.messages, self.updates, strict=True):
            scalar, vector = message(scalar, vector, radial, unit_A3K, graph)
            scalar, vector = update(scalar, vector)
        energy: Tensor = self.readout(scalar)
        return energy


class Message(nn.Module):
    """Eqs. 7 and 8. What an atom sends is multiplied out before it is gathered: φ, and v∘φ_vv.

    `filter` holds W of the paper; its last column is the bias, whose input is the envelope.
    """

    def __init__(self, width: int, radial: int, *, vectors: bool) -> None:
        super().__init__()
        self.width, self.vectors = width, vectors
        parts = 3 if vectors else 2
        self.send = nn.Sequential(dense(width, width), SiLU(), dense(width, parts * width))
        self.filter = dense(radial + 1, parts * width, bias=False)
        with torch.no_grad():
            self.filter.weight[:, -1] = 0

    def forward(
        self, scalar: Tensor, vector: Tensor, radial: Tensor, unit_A3K: Tensor, graph: Graph
    ) -> tuple[Tensor, Tensor]:
        """`scalar` (A, C), `vector` (A, 3, C); `radial` (A, K, R + 1) with the envelope in it."""
        width = self.width
        sent, weight = self.send(scalar), self.filter(radial)
        along = graph.at_neighbours(sent[:, : 2 * width]) * weight[..., : 2 * width]
        scalar = scalar + along[..., :width].sum(dim=1)
        turned = unit_A3K @ along[..., width:]
        if self.vectors:
            carried = graph.at_neighbours(vector * sent[:, None, 2 * width :])
            turned = turned + (carried * weight[:, :, None, 2 * width :]).sum(dim=1)
        return scalar, vector + turned


class Update(nn.Module):
    """Eqs. 9 and 10: scalars and vectors of one atom meet."""

    def __init__(self, width: int, *, vectors: bool) -> None:
        super().__init__()
        self.width, self.vectors = width, vectors
        self.mix = dense(width, 2 * width, bias=False)
        self.gate = nn.Sequential(
            dense(2 * width, width), SiLU(), dense(width, (3 if vectors else 2) * width)
        )

    def forward(self, scalar: Tensor, vector: Tensor) -> tuple[Tensor, Tensor]:
        """New `scalar` (A, C) and `vector` (A, 3, C)."""
        width = self.width
        u, v = self.mix(vector).split(width, dim=2)
        length = (v.square().sum(dim=1) + SOFT**2).sqrt()
        gate = self.gate(torch.cat([scalar, length], dim=1))
        scalar = scalar + gate[:, :width] + gate[:, width : 2 * width] * (u * v).sum(dim=1)
        if self.vectors:
            vector = vector + u * gate[:, None, 2 * width :]
        return scalar, vector
