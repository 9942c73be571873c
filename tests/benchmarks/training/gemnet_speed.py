"""Seconds of a training step of GemNet-T, beside the machine's rate of matrix products.

    python tests/benchmarks/training/gemnet_speed.py --threads 2

A step is energy, forces, the loss of stages and its gradient, without optimiser, in float32: ten
frames of aspirin (21 atoms) distorted by 0.05 Å, cutoff 5 Å. `--profile` lists the dearest
operations.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from rdkit import Chem
from rdkit.Chem import AllChem

from forgefield.trainers.graphs import Batch, Graph
from forgefield.trainers.graphs.neighbours import Slots, into_slots, near_pairs
from forgefield.trainers.model_settings import GemNetSettings
from forgefield.trainers.models import build, energy_and_forces

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    graph = aspirin(options.batch)
    numbers = tuple(sorted(set(graph.numbers.tolist())))
    model = build(GemNetSettings(elements=numbers))
    labels = torch.randn_like(graph.positions_A3)

    def step() -> None:
        energy_F, forces_A3 = energy_and_forces(model, graph, training=True)
        ((forces_A3 - labels).abs().mean() + 1e-3 * energy_F.abs().mean()).backward()

    step()
    rate, seconds, forces_s = matmul_rate(), median_time(step, options.steps), 0.0
    forces_s = median_time(lambda: energy_and_forces(model, graph), options.steps)
    rate = (rate + matmul_rate()) / 2
    real = (graph.shift_AK3[..., 0] == 0).float().mean()
    print(f"{sum(p.numel() for p in model.parameters())} parameters, {options.threads} threads, ")
    print(f"{graph.neighbour_AK.shape[1]} slots, {float(real):.0%} in use")
    print(f"{seconds:.3f} s a training step, {forces_s:.3f} s energy and forces")
    print(f"{rate:.0f} GFLOP/s; scaled to 170: {seconds * rate / 170:.3f} s a step")
    if options.profile:
        with torch.profiler.profile() as found:
            step()
        print(found.key_averages().table(sort_by="self_cpu_time_total", row_limit=30))


def aspirin(frames: int) -> Graph:
    """Distorted conformers in one graph."""
    molecule = Chem.AddHs(Chem.MolFromSmiles(ASPIRIN))
    AllChem.EmbedMolecule(molecule, randomSeed=1)
    AllChem.MMFFOptimizeMolecule(molecule)
    shape = molecule.GetConformer().GetPositions()
    noise = np.random.default_rng(0).normal(scale=0.05, size=(frames, *shape.shape))
    positions = (shape + noise).reshape(-1, 3)
    atoms = molecule.GetNumAtoms()
    ptr = np.arange(frames + 1) * atoms
    slots = into_slots(near_pairs(ptr, positions, 5.0), len(positions), 5.0)
    numbers = np.tile([atom.GetAtomicNum() for atom in molecule.GetAtoms()], frames)
    return as_graph(numbers, positions, slots, frames)


def as_graph(numbers: np.ndarray, positions: np.ndarray, slots: Slots, frames: int) -> Graph:
    """All frames as one graph, float32."""
    return Graph(
        numbers=torch.as_tensor(numbers),
        positions_A3=torch.as_tensor(positions).float(),
        neighbour_AK=torch.as_tensor(slots.neighbour_AK),
        reverse_AK=torch.as_tensor(slots.reverse_AK),
        shift_AK3=torch.as_tensor(slots.shift_AK3).float(),
        frame_A=torch.arange(frames).repeat_interleave(len(numbers) // frames),
        head_F=torch.zeros(frames, dtype=torch.int64),
        frames=frames,
    )


def matmul_rate() -> float:
    """GFLOP/s of float32 products of 2048 × 2048."""
    a = torch.randn(2048, 2048)
    return 2 * 2048**3 / median_time(lambda: a @ a, 8) / 1e9


def median_time(call: Callable[[], object], repeats: int) -> float:
    """Wall seconds."""
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return float(np.median(found))


if __name__ == "__main__":
    main()
