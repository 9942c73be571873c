"""The loss of every stage.

ASTEROID (arXiv 2306.03109, eq. 2) with weights, over the F frames of a batch:

    L = 1/F Σ_f w_f [ (1 − ρ)/(3 A_f) Σ_{a,k} ℓ((F_fak − f_fak)/s) + ρ ℓ((E_f − e_f)/(s·1 Å)) ]

where s is the force scale of the model (eV/Å), so that ℓ is dimensionless. ℓ is `|x|` (`l1`),
`x²` (`l2`) or Huber's function with its corner at `HUBER` (`huber`): x²/(2·HUBER) inside,
|x| − HUBER/2 outside. The default is `huber`: the papers quote mean absolute errors, which l1
minimises, and the round corner lets small errors go on shrinking.

An energy-only label has NaN forces and no force term.
"""

import torch
from torch import Tensor

from forgefield.trainers.graphs import Batch
from forgefield.trainers.settings import Norm

HUBER = 0.02
"""In units of the force scale, about 0.02 eV/Å for molecules near room temperature."""


def penalty(error: Tensor, norm: Norm) -> Tensor:
    """ℓ of dimensionless errors, elementwise."""
    if norm == "l1":
        return error.abs()
    if norm == "l2":
        return error.square()
    return (
        torch.nn.functional.huber_loss(
            error, torch.zeros_like(error), reduction="none", delta=HUBER
        )
        / HUBER
    )


def loss_sum(
    energy_F: Tensor, forces_A3: Tensor, batch: Batch, *, rho: float, norm: Norm
) -> Tensor:
    """Σ_f of the bracket above: divide by F, or by the F of all workers together.

    `energy_F`, `forces_A3` and the labels of `batch` are in units of the force scale.
    """
    graph = batch.graph
    atoms_F = graph.of_frames(torch.ones_like(forces_A3[:, 0]))
    known = torch.isfinite(batch.forces_A3)
    error_A3 = torch.where(known, forces_A3 - batch.forces_A3, torch.zeros_like(forces_A3))
    share_A = (batch.weight_F / (3 * atoms_F)).index_select(0, graph.frame_A)
    force_term = (penalty(error_A3, norm).sum(dim=1) * share_A).sum()
    energy_term = (penalty(energy_F - batch.energy_F, norm) * batch.weight_F).sum()
    return (1 - rho) * force_term + rho * energy_term
