"""Runs in an environment of its own that has the `nequip` package: energies and forces by it.

`python nequip_child.py IN.npz OUT.npz`. IN holds `settings` (JSON), `numbers` and `positions_A3`
of one molecule and the weights under nequip's names; OUT gets `energy` and `forces_A3`.

The only file of the project that sees that package, which wants its own versions of others.
"""

import json
import sys

import numpy as np
import torch
from nequip.model import NequIPGNNModel
from nequip.utils.global_state import set_global_state

PREFIX = "model.func."


def build(settings):  # noqa: ANN001, ANN201
    set_global_state()
    return NequIPGNNModel(
        seed=0,
        model_dtype="float64",
        r_max=settings["cutoff"],
        type_names=[f"z{number}" for number in settings["elements"]],
        num_layers=settings["layers"],
        l_max=len(settings["channels"]) - 1,
        parity=False,
        num_features=list(settings["channels"]),
        type_embed_num_features=settings["species"],
        radial_mlp_depth=1,
        radial_mlp_width=settings["radial_width"],
        num_bessels=settings["radial"],
        avg_num_neighbors=settings["neighbours"],
        per_type_energy_scales=1.0,
        per_type_energy_shifts=0.0,
    )


def put_weights(model, weights):  # noqa: ANN001, ANN201
    found = {name.removeprefix(PREFIX): value for name, value in model.named_parameters()}
    if set(found) != set(weights):
        raise SystemExit(f"weights of other names: {sorted(set(found) ^ set(weights))}")
    with torch.no_grad():
        for name, value in found.items():
            value.copy_(torch.from_numpy(weights[name]).reshape(value.shape))


def evaluate(model, settings, numbers, positions_A3):  # noqa: ANN001, ANN201
    gap = np.linalg.norm(positions_A3[:, None] - positions_A3[None], axis=2)
    near = np.argwhere((gap < settings["cutoff"]) & ~np.eye(len(gap), dtype=bool))
    kinds = [settings["elements"].index(number) for number in numbers.tolist()]
    out = model(
        {
            "pos": torch.from_numpy(positions_A3).requires_grad_(),
            "edge_index": torch.from_numpy(near.T.copy()),
            "atom_types": torch.tensor(kinds),
            "batch": torch.zeros(len(kinds), dtype=torch.int64),
            "num_atoms": torch.tensor([len(kinds)]),
        }
    )
    return {
        "energy": out["total_energy"].detach().numpy().reshape(()),
        "forces_A3": out["forces"].detach().numpy(),
    }


def main(source, target):  # noqa: ANN001, ANN201
    given = dict(np.load(source))
    settings = json.loads(str(given.pop("settings")))
    numbers, positions_A3 = given.pop("numbers"), given.pop("positions_A3")
    model = build(settings)
    put_weights(model, given)
    np.savez(target, **evaluate(model, settings, numbers, positions_A3))


if __name__ == "__main__":
    main(*sys.argv[1:])
