"""Runs in an environment of its own that has the `nequip` package: energies and forces by it.

`python nequip_child.py IN.npz OUT.npz`. IN holds `settings` (JSON), `numbers` and `positions_A3`
of one molecule and the weights under nequip's names; OUT gets `energy` and `forces_A3`.

`tests` has to be on PYTHONPATH.
"""

import json
import sys

import numpy as np
import torch
from nequip_network import build

PREFIX = "model.func."


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
    model = build(settings, model_dtype="float64")
    put_weights(model, given)
    np.savez(target, **evaluate(model, settings, numbers, positions_A3))


if __name__ == "__main__":
    main(*sys.argv[1:])
