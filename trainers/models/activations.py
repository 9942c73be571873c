"""SiLU with hand-written first and second derivatives.

Forces are a derivative of the energy, so training differentiates every activation twice.
Autograd's own second derivative of SiLU makes a dozen temporaries; this one makes two.
"""

from typing import Any

import torch
from torch import Tensor, nn


class _Slope(torch.autograd.Function):
    """g·σ'(x) for s = silu; its derivative is cheap unless it is to be differentiated again."""

    generate_vmap_rule = True

    @staticmethod
    def forward(g: Tensor, x: Tensor) -> Tensor:
        return torch.ops.aten.silu_backward(g, x)  # type: ignore[no-any-return]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:  # noqa: ANN401
        del output
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        g, x = ctx.saved_tensors
        (k,) = outer
        s = torch.sigmoid(x)
        if torch.is_grad_enabled():
            bend = s * (1 - s) * (2 + x * (1 - 2 * s)) * k * g
            return _Slope.apply(k, x), bend  # type: ignore[no-untyped-call]
        bend = torch.mul(s, -2).add_(1).mul_(x).add_(2).mul_(s)
        bend = bend.mul_(s.neg_().add_(1)).mul_(k).mul_(g)
        return torch.ops.aten.silu_backward(k, x), bend


class _SiLU(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return nn.functional.silu(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:  # noqa: ANN401
        del output
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> Tensor:  # noqa: ANN401
        (x,) = ctx.saved_tensors
        return _Slope.apply(outer[0], x)  # type: ignore[no-any-return, no-untyped-call]


def silu(x: Tensor) -> Tensor:
    """x·σ(x), differentiable to any order; the first two derivatives are the cheap ones."""
    return _SiLU.apply(x)  # type: ignore[no-any-return, no-untyped-call]


class SiLU(nn.Module):
    """`silu` as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        """Elementwise, any shape."""
        return silu(x)
