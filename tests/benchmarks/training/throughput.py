"""Training steps, predictions and molecular dynamics of every model, beside other programs.

    python tests/benchmarks/training/throughput.py --threads 2 --compiled --nequip PYTHON

In one run: the machine's rate of matrix products, and for each model at its default size the
seconds of a training step (batch, energies, forces, loss, its gradient, clipping, AdamW, moving
average), of energies and forces of a batch, and of a step of molecular dynamics of one molecule.
PYTHON is the interpreter of an environment with the `nequip` package. Works of one model take
turns with those of its rival, and every number is a median over the rounds. `--profile` lists
the dearest operations of a training step instead.
"""

import argparse
import os
import platform
from pathlib import Path

import torch
from distorted import distorted
from entries import Case, Entry, ours, rivals
from our_models import KINDS, settings_of, training
from stopwatch import Measured, by_turns, gflops, products

from forgefield.trainers.graphs import GraphSet

FRAMES = 64
PUBLISHED_GFLOPS, PUBLISHED_S = 170, 0.91
"""Rate of the machine on which the published GemNet-T took that long for a step, 2 threads."""
HEAD = """
| model | parameters | what | wall s (least to most) | CPU s | frames a second | first s |
|---|---|---|---|---|---|---|"""


def main() -> None:
    """Measure every model and print one Markdown table each."""
    options = _options()
    torch.set_num_threads(options.threads)
    print(_circumstances(options))
    frames = distorted(options.atoms, FRAMES)
    for kind in options.models.split(","):
        settings = settings_of(kind, frames)
        data = GraphSet(frames, settings.cutoff, device=options.device)
        case = Case(settings, frames, data, options)
        if options.profile:
            _profile(case)
        else:
            _measure(case)
    print(f"\nload average at the end {os.getloadavg()[0]:.1f}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default=",".join(KINDS))
    parser.add_argument("--atoms", default="aspirin", help="a name or SMILES")
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compiled", action="store_true", help="compiled steps as well")
    parser.add_argument("--nequip", type=Path, help="interpreter with the nequip package")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each work in each round")
    parser.add_argument("--profile", action="store_true")
    return parser.parse_args()


def _circumstances(options: argparse.Namespace) -> str:
    where = torch.cuda.get_device_name() if options.device != "cpu" else platform.machine()
    load, cores = os.getloadavg()[0], os.cpu_count()
    return (
        f"{options.atoms}, batch {options.batch}, float32, {options.threads} threads, {where}, "
        f"torch {torch.__version__}, load average {load:.1f} on {cores} cores"
    )


def _measure(case: Case) -> None:
    options = case.options
    with rivals(case) as others:
        entries = [ours(case), *others]
        works = {(one.name, what): t.work for one in entries for what, t in one.tasks.items()}
        yardstick = {("product", name): work for name, work in products(options.device).items()}
        found = by_turns(works | yardstick, options.rounds, options.seconds)
    print(HEAD)
    for entry in entries:
        for what in entry.tasks:
            print(_row(entry, what, found[entry.name, what]))
    rates = {name: found["product", name] for _, name in yardstick}
    print(f"\nmatrix products meanwhile, GFLOP/s: {_rates(rates)}", flush=True)
    if case.settings.kind == "gemnet":
        steps = {what: found[entries[0].name, what] for what in entries[0].tasks}
        _print_aim(steps, gflops(rates["torch.mm"].wall_s))


def _row(entry: Entry, what: str, found: Measured) -> str:
    least, most = found.spread
    return (
        f"| {entry.name} | {entry.parameters} | {what} | {found.wall_s:.4f} ({least:.4f} to "
        f"{most:.4f}) | {found.cpu_s:.4f} | {entry.tasks[what].frames / found.wall_s:.0f} | "
        f"{found.first_s:.1f} |"
    )


def _rates(found: dict[str, Measured]) -> str:
    return ", ".join(
        f"{name} {gflops(one.wall_s):.0f} ({gflops(one.cpu_s):.0f} per CPU s)"
        for name, one in found.items()
    )


def _print_aim(steps: dict[str, Measured], rate: float) -> None:
    """What our steps would take at the rate (torch.mm) at which the published code was timed."""
    for what, found in steps.items():
        if what.startswith("training"):
            scaled = found.wall_s * rate / PUBLISHED_GFLOPS
            print(
                f"{what}: {scaled:.3f} s if {PUBLISHED_GFLOPS} instead of {rate:.0f} GFLOP/s; "
                f"the published code {PUBLISHED_S} s, {PUBLISHED_S / scaled:.2f} times as long"
            )


def _profile(case: Case) -> None:
    step = training(case.settings, case.data, case.options.batch, compiled=False)
    step()
    with torch.profiler.profile() as found:
        for _ in range(5):
            step()
    table = found.key_averages().table(sort_by="self_cpu_time_total", row_limit=25)
    print(f"{case.settings.title}, 5 training steps\n{table}")


if __name__ == "__main__":
    main()
