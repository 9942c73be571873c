"""Seconds of a training step of GemNet-T, beside the machine's rate of matrix products.

    python tests/benchmarks/training/gemnet_speed.py --threads 2

A step is all that `fit` does at each: ten frames of aspirin (21 atoms), cutoff 5 Å, float32,
energy, forces, gradient of the loss, optimiser. `--compiled` adds the compiled step (minutes).
On a busy machine take one thread and read processor seconds.
"""

import argparse

import torch
from distorted import distorted
from our_models import settings_of, training
from stopwatch import by_turns, gflops, products, repeated

from forgefield.trainers.graphs import GraphSet

PUBLISHED_RATE = 170.0
"""GFLOP/s of the machine on which the published code took 0.91 s a step."""


def main() -> None:
    """Print a line for each work."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compiled", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    frames = distorted("aspirin", 2 * options.batch)
    data, settings = GraphSet(frames, 5.0), settings_of("gemnet", frames)
    kinds = ("eager", "compiled") if options.compiled else ("eager",)
    works = {
        kind: repeated(training(settings, data, options.batch, compiled=kind == "compiled").step)
        for kind in kinds
    }
    found = by_turns({**works, **products("cpu")}, options.rounds, 2.0)
    rate = gflops(found["torch.mm"].wall_s)
    for name, one in found.items():
        print(f"{name:10} {one.wall_s:.4f} s, {one.cpu_s:.4f} s of a processor", end="")
        if name in works:
            print(f"; at {PUBLISHED_RATE:.0f} GFLOP/s: {one.wall_s * rate / PUBLISHED_RATE:.3f} s")
        else:
            print(f"; {gflops(one.wall_s):.0f} GFLOP/s")


if __name__ == "__main__":
    main()
