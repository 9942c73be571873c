"""SiLU with hand-written first and second derivatives.

Forces are a derivative of the energy, so training differentiates every activation twice.
Autograd's own second derivative of SiLU makes a dozen temporaries; this one makes two.
"""

from typing import Any

import torch
from torch import Tensor, nn


class _Slope(torch.autograd.Function):
    """g·σ'(x) for s = silu, differentiable once more in g and x."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, x: Tensor) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(g, x)
        return torch.ops.aten.silu_backward(g, x)  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        g, x = ctx.saved_tensors
        (k,) = outer
        s = torch.sigmoid(x)
        bend = torch.mul(s, -2).add_(1).mul_(x).add_(2).mul_(s)
        bend = bend.mul_(s.neg_().add_(1)).mul_(k).mul_(g)
        return torch.ops.aten.silu_backward(k, x), bend


class _SiLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(x)
        return nn.functional.silu(x)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Tensor:  # noqa: ANN401
        (x,) = ctx.saved_tensors
        return _Slope.apply(outer[0], x)  # type: ignore[no-any-return, no-untyped-call]


def silu(x: Tensor) -> Tensor:
    """x·σ(x); twice differentiable (not three times)."""
    return _SiLU.apply(x)  # type: ignore[no-any-return, no-untyped-call]


class SiLU(nn.Module):
    """`silu` as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        """Elementwise, any shape."""
        return silu(x)
