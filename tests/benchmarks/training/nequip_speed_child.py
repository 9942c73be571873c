"""Runs in an environment of its own that has the `nequip` package: times its training step.

`python nequip_speed_child.py BATCH.npz MODE THREADS DEVICE`. It answers lines such as
`training 5` with the wall and processor seconds of one of five steps; MODE is `eager` or `compile`.
`tests` has to be on PYTHONPATH.
"""

import json
import sys
import time

import numpy as np
import torch
from nequip_network import build

HUBER = 0.02


def inputs(given, settings, device):  # noqa: ANN001, ANN201
    kinds = [settings["elements"].index(number) for number in given["numbers"].tolist()]
    count = np.bincount(given["frame_A"])
    found = {
        "pos": torch.from_numpy(given["positions_A3"]),
        "edge_index": torch.from_numpy(given["pairs"]),
        "atom_types": torch.tensor(kinds),
        "batch": torch.from_numpy(given["frame_A"]),
        "num_atoms": torch.from_numpy(count),
    }
    return {name: value.to(device) for name, value in found.items()}


def training(model, graph, given):  # noqa: ANN001, ANN201
    device = graph["pos"].device
    energy, forces = (torch.from_numpy(given[key]).to(device) for key in ("energy_F", "forces_A3"))
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def penalty(x):  # noqa: ANN001, ANN202
        zero = torch.zeros_like(x)
        return torch.nn.functional.huber_loss(x, zero, delta=HUBER) / HUBER

    def step():  # noqa: ANN202
        optimiser.zero_grad()
        out = model(dict(graph))
        off = penalty(out["forces"] - forces) + 1e-3 * penalty(out["total_energy"][:, 0] - energy)
        off.backward()
        optimiser.step()

    return step


def spent(call, times, device):  # noqa: ANN001, ANN201
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        call()
    if device != "cpu":
        torch.cuda.synchronize()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"wall_s": wall / times, "cpu_s": cpu / times}


def reply(**found):  # noqa: ANN003, ANN201
    print("reply", json.dumps(found), flush=True)


def main(source, mode, threads, device):  # noqa: ANN001, ANN201
    torch.set_num_threads(int(threads))
    given = dict(np.load(source))
    settings = json.loads(str(given.pop("settings")))
    model = build(settings, model_dtype="float32", compile_mode=mode).to(device)
    graph = inputs(given, settings, device)
    calls = {"training": training(model, graph, given), "prediction": lambda: model(dict(graph))}
    reply(parameters=sum(one.numel() for one in model.parameters()))
    for line in sys.stdin:
        what, times = line.split()
        model.train(what == "training")
        reply(**spent(calls[what], int(times), device))


if __name__ == "__main__":
    main(*sys.argv[1:])
