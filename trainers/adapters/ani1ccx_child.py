"""ANI-1ccx by the `torchani` package, in a process of an environment that has it.

    python ani1ccx_child.py predict WEIGHTS IN.npz OUT.npz DEVICE
    python ani1ccx_child.py tune WEIGHTS IN.npz OUT.pt DEVICE

IN holds `numbers_FA` (−1 where a frame has no such atom) and `positions_FA3` in Å; for tuning also
`energy_F` and `forces_FA3` in hartree and Å, `validation` (how many of the last frames) and
`settings` (JSON). OUT has `energy_F` and `forces_FA3`, or the tuned weights. WEIGHTS are a state
dict, read without running what may be in it. It imports nothing of Forgefield's.
"""

import copy
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

MEMBERS = 8
AT_ONCE = 64
SYMBOLS = ("H", "C", "N", "O")


def build(weights: str, device: str) -> Any:  # noqa: ANN401
    """The network of ANI-1ccx as torchani 2.9 puts it together, in float64."""
    from torchani.arch import (  # type: ignore[import-not-found, unused-ignore]
        Assembler,
    )

    parts = Assembler(periodic_table_index=True)
    parts.set_symbols(SYMBOLS)
    parts.set_global_cutoff_fn("cosine")
    parts.set_aev_computer(radial="ani1x", angular="ani1x", strategy="pyaev")
    parts.set_atomic_networks(ctor="ani1x")
    parts.set_neighborlist("all_pairs")
    parts.set_gsaes_as_self_energies("ccsd(t)star-cbs")
    model = parts.assemble(MEMBERS)
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return model.to(device=device, dtype=torch.float64)


def evaluate(model: Any, numbers: Any, positions: Any, *, training: bool = False) -> Any:  # noqa: ANN401
    """Energies (F,) and forces (F, A, 3), hartree and Å, of tensors."""
    positions = positions.detach().requires_grad_()
    energy = model((numbers, positions)).energies
    (slope,) = torch.autograd.grad(energy.sum(), positions, create_graph=training)
    return energy, -slope


def predict(model: Any, frames: dict[str, Any], target: str, device: str) -> None:  # noqa: ANN401
    """Write energies and forces of all frames."""
    energies, forces = [], []
    for first in range(0, len(frames["numbers_FA"]), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        energy, force = evaluate(model, *_tensors(frames, part, device)[:2])
        energies.append(energy.detach().cpu().numpy())
        forces.append(force.detach().cpu().numpy())
    np.savez(target, energy_F=np.concatenate(energies), forces_FA3=np.concatenate(forces))


def tune(model: Any, frames: dict[str, Any], target: str, device: str) -> None:  # noqa: ANN401
    """Train all members; the weights with the smallest error of validation forces are kept."""
    settings = json.loads(str(frames["settings"]))
    count = len(frames["numbers_FA"]) - int(frames["validation"])
    random = np.random.default_rng(settings["seed"])
    model.requires_grad_(True)
    optimiser = torch.optim.AdamW(model.parameters(), lr=settings["rate"], weight_decay=0.0)
    best, kept = _error(model, frames, count, device), copy.deepcopy(model.state_dict())
    print(f"before: validation force MAE {best:.6f} hartree/Å", flush=True)  # noqa: T201
    for step in range(1, settings["steps"] + 1):
        chosen = random.choice(count, size=min(settings["batch"], count), replace=False)
        optimiser.zero_grad()
        _loss(model, _tensors(frames, chosen, device), settings["energy_weight"]).backward()
        optimiser.step()
        if step % settings["evaluate_every"] == 0 or step == settings["steps"]:
            error = _error(model, frames, count, device)
            print(f"step {step}: validation force MAE {error:.6f}", flush=True)  # noqa: T201
            if error < best:
                best, kept = error, copy.deepcopy(model.state_dict())
    partial = Path(f"{target}.partial")
    torch.save(kept, partial)
    partial.replace(target)


def _loss(model: Any, batch: Any, energy_weight: float) -> Any:  # noqa: ANN401
    numbers, positions, energy, forces = batch
    found_energy, found_forces = evaluate(model, numbers, positions, training=True)
    there = numbers >= 0
    energy_loss = ((found_energy - energy) / there.sum(dim=1)).square().mean()
    return energy_weight * energy_loss + (found_forces - forces)[there].square().mean()


def _error(model: Any, frames: dict[str, Any], first: int, device: str) -> float:  # noqa: ANN401
    total, components = 0.0, 0
    for start in range(first, len(frames["numbers_FA"]), AT_ONCE):
        numbers, positions, _, forces = _tensors(frames, slice(start, start + AT_ONCE), device)
        off = (evaluate(model, numbers, positions)[1] - forces)[numbers >= 0].abs()
        total, components = total + float(off.sum()), components + off.numel()
    return total / max(1, components)


def _tensors(frames: dict[str, Any], which: Any, device: str) -> list[Any]:  # noqa: ANN401
    names = ("numbers_FA", "positions_FA3", "energy_F", "forces_FA3")
    return [torch.as_tensor(frames[name][which]).to(device) for name in names if name in frames]


def main(task: str, weights: str, source: str, target: str, device: str) -> None:
    """Predict or tune."""
    with np.load(source) as arrays:
        frames = dict(arrays)
    model = build(weights, device)
    {"predict": predict, "tune": tune}[task](model, frames, target, device)


if __name__ == "__main__":
    main(*sys.argv[1:])
