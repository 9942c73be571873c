"""All parameters of a model as one vector, so that a step of training is a few long operations.

The model's own parameters become views of `values`, their gradients views of `gradient`:
clipping, the optimiser, the moving average, all-reduce and checkpoints then act on one vector.
"""

import torch
from torch import Tensor, nn


class FlatParameters:
    """Takes over what `model` trains, not what is frozen; `values` and `gradient` are (P,).

    `parts` are the model's own parameters. A loss of forces depends on positions that require
    gradients too: `loss.backward(inputs=flat.parts)` doesn't compute those.
    """

    def __init__(self, model: nn.Module) -> None:
        self.parts = [part for part in model.parameters() if part.requires_grad]
        flat = torch.cat([part.detach().reshape(-1) for part in self.parts])
        self.values = nn.Parameter(flat)
        self.gradient = torch.zeros_like(flat)
        self.values.grad = self.gradient
        self._share()

    def _share(self) -> None:
        start = 0
        for part in self.parts:
            piece = slice(start, start + part.numel())
            part.data = self.values.data[piece].view_as(part)
            part.grad = self.gradient[piece].view_as(part)
            start = piece.stop

    def swap(self, other: Tensor) -> None:
        """Exchange the values with those of `other` (P,), in place."""
        kept = self.values.data.clone()
        self.values.data.copy_(other)
        other.copy_(kept)

    def clip(self, largest: float) -> float:
        """Scale the gradient down to norm `largest`; returns the norm before."""
        norm = float(self.gradient.norm())
        if norm > largest:
            self.gradient.mul_(largest / norm)
        return norm
