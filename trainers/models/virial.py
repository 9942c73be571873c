"""How the energy answers to strain: every position and lattice translation x → (1 + ε) x.

∂E/∂ε = Σ_i x_i ⊗ ∂E/∂x_i + Σ_slots t ⊗ ∂E/∂t with t what a slot adds to its neighbour's
position, so one pass backwards gives forces and strain derivative together. Divided by the
volume it is the stress, positive under tension.

Legend: `F` frames, `A` atoms, `K` slots.
"""

from dataclasses import replace

import torch
from torch import Tensor

from forgefield.trainers.graphs import Graph
from forgefield.trainers.models.potential import Potential


def energy_forces_virial(model: Potential, graph: Graph) -> tuple[Tensor, Tensor, Tensor]:
    """Energy (F,), −∂E/∂x (A, 3) and ∂E/∂ε (F, 3, 3), dimensionless, per Å, dimensionless."""
    position = graph.positions_A3.detach().requires_grad_()
    shift = graph.shift_AK3.detach().requires_grad_()
    with torch.enable_grad():
        energy_F = model(replace(graph, positions_A3=position, shift_AK3=shift))
        slope_A3, slope_AK3 = torch.autograd.grad(
            energy_F.sum(), [position, shift], materialize_grads=True
        )
    strain_A33 = position.detach().unsqueeze(2) * slope_A3.unsqueeze(1)
    strain_A33 = strain_A33 + shift.detach().transpose(1, 2) @ slope_AK3
    return energy_F.detach(), -slope_A3, graph.of_frames(strain_A33)
