"""A step of training as one compiled function: (parameters, batch) → (loss, gradient).

The energy, its derivative, the loss of both and the gradient of the loss are traced once into a
flat list of tensor operations, in which nothing is left to differentiate; `torch.compile` then
fuses it. Shapes are those of the batch, so a new shape is traced anew; sets of molecules of many
sizes would never stop doing so, and are left to the eager step.

Tracing costs a minute or more. `pays` says whether that is likely to come back.
"""

import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.fx import GraphModule

from forgefield.trainers.fitting.objectives import Extra, Objective
from forgefield.trainers.fitting.processor_products import use_fastest_products
from forgefield.trainers.graphs import Batch, Graph, GraphSet
from forgefield.trainers.settings import FitSettings

FEWEST_STEPS = 3_000
"""From about this many steps on the time to compile is earned back."""

Compiled = Callable[[Tensor, list[Tensor]], tuple[Tensor, Tensor]]
_GRAPH_TENSORS = tuple(field.name for field in fields(Graph) if field.name != "frames")


def pays(settings: FitSettings, train: GraphSet) -> bool:
    """Whether to compile: as the settings say, else for long fits where a compiler is at hand.

    Never where molecules of several sizes give every batch a shape of its own.
    """
    if not train.uniform or settings.compiled is not None:
        return train.uniform and bool(settings.compiled)
    compiler = torch.cuda.is_available() or shutil.which("g++") or shutil.which("clang++")
    return bool(compiler) and settings.steps >= FEWEST_STEPS


class CapturedStep:
    """`loss, gradient = step(values, batch, extra)` for the trainable parameters of `model`.

    `products` says which library multiplies which shapes: with the same choices another process
    gets the same bits.
    """

    def __init__(self, model: nn.Module, objective: Objective) -> None:
        self.model, self.objective = model, objective
        trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        self.names = [name for name, _ in trained]
        self.shapes = [tuple(p.shape) for _, p in trained]
        self.sizes = [p.numel() for _, p in trained]
        self.products: dict[str, bool] = {}
        self._known: dict[tuple[Any, ...], Compiled] = {}

    def __call__(self, values: Tensor, batch: Batch, extra: Extra) -> tuple[Tensor, Tensor]:
        """Loss (a sum over frames) and gradient (P,)."""
        tensors = _tensors(batch, extra)
        key = tuple(tuple(t.shape) for t in tensors)
        if key not in self._known:
            self._known[key] = self._compile(values, tensors, batch.graph.frames)
        return self._known[key](values, tensors)

    def _compile(self, values: Tensor, tensors: list[Tensor], frames: int) -> Compiled:
        traced = self.trace(values, tensors, frames)
        mode = "reduce-overhead" if values.is_cuda else None
        compiled: Compiled = torch.compile(traced, fullgraph=True, mode=mode)
        return compiled

    def trace(self, values: Tensor, tensors: list[Tensor], frames: int) -> GraphModule:
        """The operations of one step, as `_step` does them."""
        from torch.fx.experimental.proxy_tensor import make_fx

        def step(values: Tensor, tensors: list[Tensor]) -> tuple[Tensor, Tensor]:
            return self._step(values, tensors, frames)

        traced = make_fx(step)(values.detach(), tensors)
        return use_fastest_products(traced, self.products)

    def _step(self, values: Tensor, tensors: list[Tensor], frames: int) -> tuple[Tensor, Tensor]:
        leaf = values.detach().requires_grad_()
        pieces = leaf.split_with_sizes(self.sizes)
        parameters = {
            name: piece.reshape(shape)
            for name, piece, shape in zip(self.names, pieces, self.shapes, strict=True)
        }
        batch, extra = _batch(tensors, frames)
        bound = _Bound(self.model, parameters)
        loss = self.objective(bound, batch, extra)  # type: ignore[arg-type]
        (gradient,) = torch.autograd.grad(loss, leaf)
        return loss.detach(), gradient


class _Bound:
    """The model with these parameters in place of its own."""

    def __init__(self, model: nn.Module, parameters: dict[str, Tensor]) -> None:
        self.model, self.parameters = model, parameters

    def __call__(self, graph: Graph) -> Tensor:
        energy_F: Tensor = functional_call(self.model, self.parameters, (graph,))
        return energy_F


def _tensors(batch: Batch, extra: Extra) -> list[Tensor]:
    graph = [getattr(batch.graph, name) for name in _GRAPH_TENSORS]
    return [*graph, batch.energy_F, batch.forces_A3, batch.weight_F, *extra]


def _batch(tensors: list[Tensor], frames: int) -> tuple[Batch, Extra]:
    count = len(_GRAPH_TENSORS)
    graph = Graph(**dict(zip(_GRAPH_TENSORS, tensors[:count], strict=True)), frames=frames)
    graph = replace(graph, positions_A3=graph.positions_A3.detach())
    return Batch(graph, *tensors[count : count + 3]), tuple(tensors[count + 3 :])
