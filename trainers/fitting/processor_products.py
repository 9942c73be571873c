"""Matrix products of a traced step by the faster of the two libraries that torch has on a CPU.

torch sends float32 products to MKL, which on processors of other makers does without their
widest instructions (AMD Zen 5, one core: 105 GFLOP/s, where oneDNN reaches 215). Which is faster
depends on the processor and the shape, so both are timed once for each shape. They round
differently, so the choices are kept: for the machine (`product_choices`) and with a checkpoint.
"""

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.fx import GraphModule

from forgefield.trainers.fitting.product_choices import agreed

SMALLEST = 2e6
"""Multiply-adds below which a product isn't worth the timing."""
REPEATS = 20


def use_fastest_products(traced: GraphModule, known: dict[str, bool]) -> GraphModule:
    """Exchange `mm` for oneDNN's linear operation wherever that is faster on this machine.

    `known` are choices by shape that hold whatever this machine's are; others are added to it.
    """
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return traced
    products = [
        (node, [_form(one.meta["val"]) for one in node.args])
        for node in traced.graph.nodes
        if node.target is torch.ops.aten.mm.default and _suits(*node.args)
    ]
    new = {repr(forms): forms for _, forms in products if repr(forms) not in known}
    known.update(agreed(new, lambda shape: _onednn_wins(*new[shape])))
    for node, forms in products:
        if known[repr(forms)]:
            node.target = _operation()
    traced.recompile()
    return traced


@lru_cache(maxsize=1)
def _operation() -> OpOverload:
    """`forgefield::product`: oneDNN behind a name that the compiler leaves alone."""
    library = torch.library.Library("forgefield", "DEF")  # type: ignore[no-untyped-call]
    library.define("product(Tensor a, Tensor b) -> Tensor")  # type: ignore[no-untyped-call]
    library.impl("product", _by_onednn, "CPU")  # type: ignore[no-untyped-call]
    torch.library.register_fake("forgefield::product", torch.mm, lib=library)
    _LIBRARIES.append(library)
    found: OpOverload = torch.ops.forgefield.product.default
    return found


_LIBRARIES: list[torch.library.Library] = []
"""A library's operations are gone when it is."""


def _by_onednn(a: Tensor, b: Tensor) -> Tensor:
    product: Tensor = _onednn()(a, b.t(), None, "none", [], "")
    return product


def _onednn() -> OpOverload:
    found: OpOverload = getattr(torch.ops.mkldnn, "_linear_pointwise").default  # noqa: B009
    return found


def _suits(first: Any, second: Any) -> bool:  # noqa: ANN401  (nodes)
    left, right = first.meta["val"], second.meta["val"]
    work = int(left.shape[0] * left.shape[1] * right.shape[1])
    return bool(left.device.type == "cpu" and left.dtype == torch.float32 and work >= SMALLEST)


def _form(value: Tensor) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return tuple(value.shape), tuple(value.stride())


@lru_cache(maxsize=1024)
def _onednn_wins(
    left: tuple[tuple[int, ...], tuple[int, ...]], right: tuple[tuple[int, ...], tuple[int, ...]]
) -> bool:
    a, b = (torch.empty_strided(*form).normal_() for form in (left, right))

    def timed(product: Callable[[Tensor, Tensor], Tensor]) -> float:
        started = time.perf_counter()
        for _ in range(REPEATS):
            product(a, b)
        return time.perf_counter() - started

    timed(_by_onednn), timed(torch.mm)
    return min(timed(_by_onednn) for _ in range(3)) < 0.9 * min(timed(torch.mm) for _ in range(3))
