"""A step of training as one compiled function: (parameters, batch) → (loss, gradient).

The energy, its derivative, the loss of both and the gradient of the loss are traced once into a
flat list of tensor operations, in which nothing is left to differentiate; `torch.compile` then
fuses it. Shapes are those of the batch, so a new shape is traced anew; sets of molecules of many
sizes would never stop doing so, and are left to the eager step.

Tracing costs a minute or more. `pays` says whether that is likely to come back. What was traced
is made into machine code by a compiler of the system, which may be missing or broken in more ways
than can be foreseen: then there is `NotCompiled`, and the eager step does the same to rounding.
"""

import os
import shutil
import sys
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
_GRAPH_TENSORS = tuple(f.name for f in fields(Graph) if f.name not in {"frames", "atoms"})


class NotCompiled(Exception):
    """A step couldn't be compiled; the text is for people."""


def pays(settings: FitSettings, train: GraphSet, device: torch.device) -> bool:
    """Whether to compile: as the settings say, else for long fits where a compiler is at hand.

    Never where molecules of several sizes give every batch a shape of its own.
    """
    if not train.uniform or settings.compiled is not None:
        return train.uniform and bool(settings.compiled)
    return settings.steps >= FEWEST_STEPS and compiler_for(device) is not None


def compiler_for(device: torch.device) -> str | None:
    """Path of what torch would compile with: C for a GPU (Triton), C++ for a CPU (Inductor)."""
    variable, names = ("CC", ("gcc", "clang")) if device.type == "cuda" else ("CXX", ("g++",))
    if sys.platform == "darwin":
        names = ("clang++",)
    asked = os.environ.get(variable)
    found = [shutil.which(name) for name in ((asked,) if asked else names)]
    return next(filter(None, found), None)


class CapturedStep:
    """`loss, gradient = step(values, batch, extra)` for the trainable parameters of `model`.

    Frames are of one size, as `pays` sees to.
    Raises `NotCompiled` at the first batch of a shape, or never for it.

    `products` says which library multiplies which shapes: with the same choices another process
    gets the same bits, on another machine too where that has the same instructions.
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
        """Compiled by a first call: torch compiles no earlier. Raises `NotCompiled`."""
        traced = self.trace(values, tensors, frames)
        mode = "reduce-overhead" if values.is_cuda else None
        compiled: Compiled = torch.compile(traced, fullgraph=True, mode=mode)
        try:
            compiled(values, tensors)
        except Exception as error:
            raise NotCompiled(_why(error, values.device)) from error
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


def _why(error: Exception, device: torch.device) -> str:
    needed = "gcc" if device.type == "cuda" else "g++"
    first = next(iter(str(error).splitlines()), "")
    return (
        f"Training goes on in eager steps, which take up to twice as long, since a step couldn't "
        f"be compiled ({type(error).__name__}: {first[:200]}). It takes {needed} and Python's "
        "headers (Debian, Ubuntu: apt install g++ python3-dev); `compiled = false` in the fit's "
        "settings doesn't try."
    )


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
    """What `_tensors` took apart; the frames are of one size."""
    count = len(_GRAPH_TENSORS)
    named = dict(zip(_GRAPH_TENSORS, tensors[:count], strict=True))
    graph = Graph(**named, frames=frames, atoms=len(named["numbers"]) // frames)
    graph = replace(graph, positions_A3=graph.positions_A3.detach())
    return Batch(graph, *tensors[count : count + 3]), tuple(tensors[count + 3 :])
