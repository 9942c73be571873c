"""Several networks of one shape evaluated as one: their parameters stacked, the graph shared.

What a network has beside its parameters (tables of a basis, couplings) must be the same in all,
so that it is computed once. Measured on one core it is no faster than a loop over the networks,
whose cost is arithmetic (LOG.md, "building the models"); it spares a device the launches.

Legend: `M` networks, `F` frames, `A` atoms.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.func import functional_call, grad, stack_module_state, vmap

from forgefield.storage.errors import InputError
from forgefield.trainers.graphs import Graph
from forgefield.trainers.models.potential import Potential

State = dict[str, Tensor]


def stack(networks: Sequence[Potential]) -> State:
    """Parameters of all networks by name, (M, …); `InputError` where they aren't of one shape."""
    first = networks[0]
    for other in networks[1:]:
        _same_shape(first, other)
    parameters, _ = stack_module_state(list(networks))
    return {name: value.detach() for name, value in parameters.items()}


def _same_shape(first: Potential, other: Potential) -> None:
    ours, theirs = _shapes(first), _shapes(other)
    if type(first) is not type(other) or ours != theirs:
        raise InputError("a committee's networks must be of one model with the same settings")
    tables = dict(other.named_buffers())
    if any(not torch.equal(value, tables[name]) for name, value in first.named_buffers()):
        raise InputError("a committee's networks must have the same basis, cutoff and elements")


def _shapes(network: Potential) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in network.state_dict().items()} | {
        name: value.shape for name, value in network.named_buffers()
    }


def energies_and_forces(
    template: Potential, parameters_M: State, graph: Graph
) -> tuple[Tensor, Tensor]:
    """Energies (M, F) and −∂E/∂x (M, A, 3) of all networks; `template` gives their shape."""

    def summed(positions_A3: Tensor, parameters: State) -> tuple[Tensor, Tensor]:
        energy_F = energy_of(template, parameters, graph, positions_A3)
        return energy_F.sum(), energy_F

    slope = vmap(grad(summed, has_aux=True), in_dims=(None, 0))
    slope_MA3, energy_MF = slope(graph.positions_A3.detach(), parameters_M)
    return energy_MF, -slope_MA3


def energy_of(template: Potential, parameters: State, graph: Graph, positions_A3: Tensor) -> Tensor:
    """Energy (F,) of `template` with other parameters and positions, to be transformed."""
    moved = replace(graph, positions_A3=positions_A3)
    energy: Tensor = functional_call(template, parameters, (moved,))
    return energy
