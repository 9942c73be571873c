"""What a fit makes small: an objective takes a model and a batch and gives a summed loss.

An objective is plain data and plain tensor code, so a step with it can be compiled. What it
needs besides the batch and may not draw itself, it asks for as `extra`: tensors that follow from
the seed, the step and the frame alone. So a run can be resumed, and N workers that share a batch
draw what one would.

- `Labels`: forces and energies against labels (`losses`).
- `Scores`: score matching, which needs no labels. Frames that were sampled at temperature T from
  exp(−E/kT) tell their own forces −∂E/∂x = kT ∂ ln p/∂x. Hyvärinen's identity (JMLR 6, 695, 2005)
  gives the distance between model and truth, up to a constant, without knowing the truth:

      J = kT E[v·∇(v·F)] + ½ E[|F|²],   v = ±1 per component, E[v vᵀ] = 1

  sliced by random v (Song et al., arXiv 1905.07088), since E[v·∇(v·F)] is the trace of ∇F. In
  the model's units F = s·φ with the force scale s, and per component as in `losses`:

      J_f/s² = 1/(3 A_f) [kT/s · v·∇(v·φ) + ½ |φ|²]

  What is learnt is the force field that *sampled* the frames, whichever labels they carry.

Legend: `F` frames, `A` atoms, `S` slices. Units: kT in eV, kT/s in Å.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from forgefield.trainers.fitting.losses import loss_sum
from forgefield.trainers.graphs import Batch, Graph
from forgefield.trainers.models.potential import Potential, energy_and_forces
from forgefield.trainers.settings import Norm

Extra = tuple[Tensor, ...]


class Objective(Protocol):
    """Calling it gives Σ_f of the loss: divide by F, or by the F of all workers together."""

    def draw(self, graph: Graph, index_F: Tensor, step: int) -> Extra:
        """Tensors for this step; `index_F` (F,) int64 are the frames' places in the data set."""

    def __call__(self, model: Potential, batch: Batch, extra: Extra) -> Tensor:
        """The summed loss, differentiable in the parameters."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Forces and energies against labels; `rho` is the share of energies."""

    rho: float = 0.001
    norm: Norm = "huber"

    def draw(self, graph: Graph, index_F: Tensor, step: int) -> Extra:
        """Nothing."""
        del graph, index_F, step
        return ()

    def __call__(self, model: Potential, batch: Batch, extra: Extra) -> Tensor:
        """`losses.loss_sum` of the model's energies and forces."""
        del extra
        energy_F, forces_A3 = energy_and_forces(model, batch.graph, training=True)
        return loss_sum(energy_F, forces_A3, batch, rho=self.rho, norm=self.norm)


@dataclass(frozen=True, slots=True)
class Scores:
    """Score matching of frames sampled at kT; `kT_over_scale` in Å, `slices` directions a frame."""

    kT_over_scale: float
    seed: int = 0
    slices: int = 1

    def draw(self, graph: Graph, index_F: Tensor, step: int) -> Extra:
        """One (A, 3) tensor of directions a slice."""
        return tuple(
            directions(graph, index_F, (self.seed, step, place)) for place in range(self.slices)
        )

    def __call__(self, model: Potential, batch: Batch, extra: Extra) -> Tensor:
        """Weighted sum of `score_losses`."""
        losses_F = score_losses(model, batch.graph, extra, self.kT_over_scale)
        return (losses_F * batch.weight_F).sum()


def score_losses(
    model: Potential, graph: Graph, directions_SA3: Extra, kT_over_scale: float
) -> Tensor:
    """J_f/s² of each frame, (F,), the mean over the slices.

    The trace of ∇F of one frame needs no others: frames of a graph don't feel each other.
    """
    _, forces_A3 = energy_and_forces(model, graph, training=True)
    bend_A = torch.zeros_like(forces_A3[:, 0])
    for v_A3 in directions_SA3:
        (slope_A3,) = torch.autograd.grad(
            (v_A3 * forces_A3).sum(), graph.positions_A3, create_graph=True
        )
        bend_A = bend_A + (v_A3 * slope_A3).sum(dim=1) / len(directions_SA3)
    each_A = kT_over_scale * bend_A + 0.5 * forces_A3.square().sum(dim=1)
    return graph.of_frames(each_A) / (3 * graph.of_frames(torch.ones_like(each_A)))


def directions(graph: Graph, index_F: Tensor, key: tuple[int, ...]) -> Tensor:
    """±1 for each component, (A, 3), by a hash of `key`, frame, atom in the frame and axis.

    Counter-based random numbers (Salmon et al., SC 2011): no state, whatever the order, and
    whichever other frames are in the graph. The hash is the finaliser of MurmurHash3.
    """
    frame_A, index_F = graph.frame_A, index_F.to(graph.frame_A.device)
    atoms_F = graph.of_frames(torch.ones_like(frame_A))
    first_F = atoms_F.cumsum(0) - atoms_F
    local_A = torch.arange(len(frame_A), device=frame_A.device) - first_F[frame_A]
    state = torch.zeros((), dtype=torch.int64, device=frame_A.device)
    for part in key:
        state = _mixed(state + part)
    state_A = _mixed(_mixed(state + index_F)[frame_A] + local_A)
    state_A3 = _mixed(state_A.unsqueeze(1) + torch.arange(3, device=frame_A.device))
    signs_A3 = torch.where(state_A3 < 0, -1.0, 1.0)
    return signs_A3.to(graph.positions_A3.dtype)


def _mixed(state: Tensor) -> Tensor:
    """All 64 bits depend on all 64 bits; int64 arithmetic wraps around."""
    state = state + 0x1E3779B97F4A7C15
    for factor in (-0x00AE502812AA7333, -0x3B314601E57A13AD):
        state = (state ^ _down(state)) * factor
    return state ^ _down(state)


def _down(state: Tensor) -> Tensor:
    """Logical shift by 33 bits."""
    return (state >> 33) & 0x7FFFFFFF
