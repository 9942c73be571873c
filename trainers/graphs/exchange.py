"""Reading from neighbours, and its adjoint, both without scattering.

Every slot has a reverse slot, because neighbourhood is symmetric. So the adjoint of "read from
the neighbour" is "sum what the reverse slots hold", which is a read too. Each is the derivative
of the other, to any order.

Legend: `A` atoms, `K` slots.
"""

from typing import Any

import torch
from torch import Tensor


class _Gather(torch.autograd.Function):
    """(A, …) → (A, K, …) by `neighbour`."""

    generate_vmap_rule = True

    @staticmethod
    def forward(values: Tensor, neighbour: Tensor, reverse: Tensor) -> Tensor:
        del reverse
        shape = (*neighbour.shape, *values.shape[1:])
        return values.index_select(0, neighbour.reshape(-1)).reshape(shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # noqa: ANN401
        del output
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        return _Collect.apply(outer[0], *ctx.saved_tensors), None, None  # type: ignore[no-untyped-call]


class _Collect(torch.autograd.Function):
    """(A, K, …) → (A, …): for each atom the sum over the slots that hold it."""

    generate_vmap_rule = True

    @staticmethod
    def forward(values: Tensor, neighbour: Tensor, reverse: Tensor) -> Tensor:
        del neighbour
        flat = values.reshape(-1, *values.shape[2:])
        return flat.index_select(0, reverse.reshape(-1)).reshape(values.shape).sum(dim=1)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # noqa: ANN401
        del output
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        return _Gather.apply(outer[0], *ctx.saved_tensors), None, None  # type: ignore[no-untyped-call]


def gather(values: Tensor, neighbour: Tensor, reverse: Tensor) -> Tensor:
    """`values[neighbour]`: (A, …) to (A, K, …), differentiable to any order."""
    return _Gather.apply(values, neighbour, reverse)  # type: ignore[no-any-return, no-untyped-call]


class _Swap(torch.autograd.Function):
    """(A, K, …) → (A, K, …): what the reverse slots hold; its own inverse and adjoint."""

    generate_vmap_rule = True

    @staticmethod
    def forward(values: Tensor, reverse: Tensor) -> Tensor:
        flat = values.reshape(-1, *values.shape[2:])
        return flat.index_select(0, reverse.reshape(-1)).reshape(values.shape)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # noqa: ANN401
        del output
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return _Swap.apply(outer[0], *ctx.saved_tensors), None  # type: ignore[no-untyped-call]


def swap(values: Tensor, reverse: Tensor) -> Tensor:
    """What the same pairs hold the other way round, (A, K, …), differentiable to any order."""
    return _Swap.apply(values, reverse)  # type: ignore[no-any-return, no-untyped-call]
