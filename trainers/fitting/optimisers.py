"""How weights move: AdamW, or Muon for matrices with AdamW for the rest, on one flat vector.

Muon (Jordan et al., 2024; scaled as in arXiv 2502.16982) takes the momentum of a weight matrix
and moves by its nearest semi-orthogonal matrix, found by Newton-Schulz iterations:

    M ← μM + G;   O = NS₅(G + μM);   W ← W − rate · 0.2·√max(rows, columns) · O

so that the root mean square of a step is about that of AdamW. On force fields it reaches the
error of AdamW in a fraction of the steps (LOG.md). `torch.optim.Muon` does the same one matrix
at a time; here matrices of one shape are turned together, which tests hold against it and against
one by one.

On a CPU matrices are turned in the type of the weights: bfloat16 is no faster there, and its
rounding makes a thousand times more of what data-parallel workers differ by (LOG.md). On a GPU
it is bfloat16, as published.

Legend: `P` parameters, `B` matrices of one shape.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from forgefield.trainers.fitting.flat import FlatParameters
from forgefield.trainers.settings import FitSettings

NOT_TURNED = frozenset({"embedding", "readout", "readouts"})
"""Tables and readouts aren't maps between features: they are left to AdamW."""
POLYNOMIAL = (3.4445, -4.7750, 2.0315)
"""a, b, c of X ← aX + (bA + cA²)X with A = XXᵀ: singular values go to about 0.7-1.2."""
ITERATIONS = 5
MATCH = 0.2
"""Root mean square of a typical AdamW step in units of the rate."""


class Optimiser(ABC):
    """Moves `flat.values` by `flat.gradient`; its state is tensors by name."""

    @abstractmethod
    def step(self, rate: float) -> None:
        """One step at this rate."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """All that the next step depends on besides weights and gradient."""

    @abstractmethod
    def restore(self, stored: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave."""


class AdamW(Optimiser):
    """torch's fused AdamW on the whole vector."""

    def __init__(self, flat: FlatParameters, weight_decay: float) -> None:
        self.values = flat.values
        self.inner = torch.optim.AdamW(
            [flat.values], lr=torch.tensor(0.0), weight_decay=weight_decay, fused=True
        )

    def step(self, rate: float) -> None:
        """One step of all weights."""
        self.inner.param_groups[0]["lr"].fill_(rate)
        self.inner.step()

    def state(self) -> dict[str, Tensor]:
        """Both moments (P,) and the count of steps."""
        moments = self.inner.state[self.values]
        names = {"first": "exp_avg", "second": "exp_avg_sq", "count": "step"}
        return {name: moments[theirs] for name, theirs in names.items()}

    def restore(self, stored: Mapping[str, Tensor]) -> None:
        """Read back what `state` gave."""
        self.inner.state[self.values] = {
            "exp_avg": stored["first"].to(self.values.device),
            "exp_avg_sq": stored["second"].to(self.values.device),
            "step": stored["count"].to(self.values.device),
        }


class Muon(Optimiser):
    """Matrices by Muon, all other weights by AdamW at `rest` times the rate."""

    def __init__(self, flat: FlatParameters, model: nn.Module, settings: FitSettings) -> None:
        self.flat, self.settings = flat, settings
        self.adam = AdamW(flat, 0.0)
        self.velocity = torch.zeros_like(flat.gradient)
        self.sizes = [part.numel() for part in flat.parts]
        self.groups = _by_shape(model)
        self.others = torch.ones_like(flat.gradient)
        pieces = self.others.split_with_sizes(self.sizes)
        for places in self.groups.values():
            for place in places:
                pieces[place].zero_()

    def step(self, rate: float) -> None:
        """Momentum, turned and scaled; then AdamW on what is left of the gradient."""
        gradient, momentum = self.flat.gradient, self.settings.momentum
        self.velocity.mul_(momentum).add_(gradient)
        ahead = torch.add(gradient, self.velocity, alpha=momentum).split_with_sizes(self.sizes)
        values = self.flat.values.data.mul_(1 - rate * self.settings.weight_decay)
        pieces = values.split_with_sizes(self.sizes)
        for (rows, columns), places in self.groups.items():
            each = torch.cat([ahead[place] for place in places]).view(-1, rows, columns)
            turned = orthogonalised(each).mul_(-rate * MATCH * math.sqrt(max(rows, columns)))
            moves = turned.reshape(-1).split_with_sizes([self.sizes[place] for place in places])
            for place, move in zip(places, moves, strict=True):
                pieces[place].add_(move)
        gradient.mul_(self.others)
        self.adam.step(rate * self.settings.rest)

    def state(self) -> dict[str, Tensor]:
        """AdamW's, and the velocities (P,)."""
        return {**self.adam.state(), "velocity": self.velocity}

    def restore(self, stored: Mapping[str, Tensor]) -> None:
        """Read back what `state` gave."""
        self.adam.restore(stored)
        self.velocity.copy_(stored["velocity"])


def optimiser_for(flat: FlatParameters, model: nn.Module, settings: FitSettings) -> Optimiser:
    """The optimiser that the settings name."""
    if settings.optimiser == "muon":
        return Muon(flat, model, settings)
    return AdamW(flat, settings.weight_decay)


def orthogonalised(matrices: Tensor) -> Tensor:
    """About the nearest semi-orthogonal matrix of each, (B, rows, columns)."""
    upright = matrices.shape[1] > matrices.shape[2]
    x = matrices.to(torch.bfloat16) if matrices.is_cuda else matrices
    x = x.mT if upright else x
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    a, b, c = POLYNOMIAL
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x.mT if upright else x).to(matrices.dtype)


def _by_shape(model: nn.Module) -> dict[tuple[int, int], list[int]]:
    """Which of the trained parameters are matrices of each shape, or stacks of such."""
    trained = [(name, part) for name, part in model.named_parameters() if part.requires_grad]
    found: dict[tuple[int, int], list[int]] = {}
    for place, (name, weight) in enumerate(trained):
        if _is_matrix(name, weight):
            rows, columns = weight.shape[-2:]
            found.setdefault((rows, columns), []).append(place)
    return found


def _is_matrix(name: str, weight: Tensor) -> bool:
    maps = name.split(".", maxsplit=1)[0] not in NOT_TURNED
    return maps and weight.ndim >= 2 and min(weight.shape[-2:]) > 1
