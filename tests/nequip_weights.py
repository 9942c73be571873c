"""Our NequIP's weights under the `nequip` package's names and in its layouts.

Legend: `channels[l]` features of order l; `W` all weights of one module, flat where e3nn keeps
them flat.
"""

import numpy as np
import torch

from forgefield.storage.records import Array
from forgefield.trainers.models.nequip import Layer, NequIP
from forgefield.trainers.models.nequip_maps import Scaled
from forgefield.trainers.models.spherical import Path


def fill_by_formula(model: NequIP) -> None:
    """Weights of about unit variance that follow from their place alone: no generator."""
    done = 0
    with torch.no_grad():
        for _, value in sorted(model.named_parameters()):
            place = torch.arange(done, done + value.numel(), dtype=torch.float64)
            value.copy_((2**0.5 * torch.sin(1 + 1.7 * place)).reshape(value.shape))
            done += value.numel()


def foreign_weights(model: NequIP) -> dict[str, Array]:
    """Weights by nequip's names."""
    found = {
        "type_embed.embed_module.weight": _array(model.embedding),
        "per_atom_energy_readout.mlp_module.mlp.0.weight": _array(model.readout.weight),
    }
    for place, layer in enumerate(model.layers):
        assert isinstance(layer, Layer)
        for name, value in _layer(layer).items():
            found[f"layer{place}_convnet.conv.{name}"] = value
    return found


def _layer(layer: Layer) -> dict[str, Array]:
    first, _, last = layer.radial
    found = {
        "linear_1.weight": _flat(layer.before),
        "linear_2.weight": _flat(layer.after),
        "edge_mlp.mlp.0.weight": _array(first.weight),
        "edge_mlp.mlp.2.weight": _array(last.weight)[:, _radial_order(layer)],
    }
    if layer.memory is not None:
        parts = [_array(each.weight).swapaxes(0, 1).ravel() for each in layer.memory]
        found["sc.weight"] = np.concatenate(parts)
    return found


def _radial_order(layer: Layer) -> Array:
    """Which of our columns comes at each place of theirs, whose paths go by l_in, then l_edge."""
    width = [layer.channels_in[path.l_in] for path in layer.paths]
    start = np.cumsum([0, *width])[:-1]
    theirs = sorted(range(len(width)), key=lambda place: _by_input(layer.paths[place]))
    return np.concatenate([np.arange(start[p], start[p] + width[p]) for p in theirs])


def _by_input(path: Path) -> tuple[int, int, int]:
    return path.l_in, path.l_edge, path.l_out


def _flat(parts: torch.nn.ModuleList) -> Array:
    """e3nn's Linear: one (mul_in, mul_out) block for each order, one after another."""
    assert all(isinstance(part, Scaled) for part in parts)
    return np.concatenate([_array(part.weight).ravel() for part in parts])


def _array(value: torch.Tensor) -> Array:
    return value.detach().double().numpy()
