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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from distorted import distorted
from our_models import KINDS, dynamics, fresh, prediction, settings_of, training
from rivals import GeometricSchNet, NequipPackage
from stopwatch import Measured, Work, by_turns, gflops, products, repeated

from forgefield.storage.frames import Frames
from forgefield.trainers.graphs import GraphSet
from forgefield.trainers.model_settings import ModelSettings, NequIPSettings, SchNetSettings

FRAMES = 64
PREDICTED = 32
"""Frames of a batch whose energies and forces are asked for."""
PUBLISHED_GFLOPS, PUBLISHED_S = 170, 0.91
"""Rate of the machine on which the published GemNet-T took that long for a step, 2 threads."""
HEAD = """
| model | parameters | what | wall s (least to most) | CPU s | a second | first s |
|---|---|---|---|---|---|---|"""


@dataclass
class Entry:
    """Works of one program with one model, and how many frames or steps each of them does."""

    name: str
    parameters: int
    works: dict[str, Work] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """What is measured, the same for all models."""

    frames: Frames
    data: GraphSet
    options: argparse.Namespace


def main() -> None:
    """Measure every model and print one Markdown table."""
    options = _options()
    torch.set_num_threads(options.threads)
    frames = distorted(options.atoms, FRAMES)
    print(_circumstances(options))
    _print_products(options)
    for kind in options.models.split(","):
        settings = settings_of(kind, frames)
        data = GraphSet(frames, settings.cutoff, device=options.device)
        case = Case(frames, data, options)
        if options.profile:
            _profile(settings, case)
        else:
            _measure(settings, case)
    _print_products(options)
    print(f"load average at the end {os.getloadavg()[0]:.1f}")


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
    return (
        f"{options.atoms}, batch {options.batch}, float32, {options.threads} threads, {where}, "
        f"torch {torch.__version__}, load average {os.getloadavg()[0]:.1f} of {os.cpu_count()} cores"
    )


def _print_products(options: argparse.Namespace) -> None:
    found = by_turns(products(options.device), options.rounds, 0.3)
    rates = [f"{name} {gflops(one.wall_s):.0f}" for name, one in found.items()]
    print(f"products of matrices, GFLOP/s: {', '.join(rates)}")


def _measure(settings: ModelSettings, case: Case) -> None:
    options = case.options
    with _rivals(settings, case) as rivals:
        entries = [_ours(settings, case), *rivals]
        works = {f"{one.name}|{what}": w for one in entries for what, w in one.works.items()}
        yardstick = products(options.device)
        found = by_turns({**works, **yardstick}, options.rounds, options.seconds)
    print(HEAD)
    for entry in entries:
        for what in entry.works:
            print(_row(entry, what, found[f"{entry.name}|{what}"], options.batch), flush=True)
    if settings.kind == "gemnet":
        rate = max(gflops(found[name].wall_s) for name in yardstick)
        for what in entries[0].works:
            if what.startswith("training"):
                seconds = found[f"{entries[0].name}|{what}"].wall_s
                print(_scaled(what, seconds, rate))


def _ours(settings: ModelSettings, case: Case) -> Entry:
    options = case.options
    count = sum(one.numel() for one in fresh(settings, "cpu").parameters())
    entry = Entry(settings.title, count)
    for compiled in (False, True)[: 1 + options.compiled]:
        run = training(settings, case.data, options.batch, compiled=compiled)
        name = f"training step, {'compiled' if compiled else 'eager'}"
        entry.works[name] = repeated(run.step, options.device)
    for frames in (options.batch, PREDICTED):
        name = f"predicting {frames} frames"
        entry.works[name] = prediction(settings, case.data, frames, options.device)
    for double in (True, False):
        name = f"dynamics, float{64 if double else 32}"
        entry.works[name] = dynamics(settings, case.frames, options.device, double=double)
    return entry


@contextmanager
def _rivals(settings: ModelSettings, case: Case) -> Iterator[list[Entry]]:
    options, batch = case.options, case.data.batch(np.arange(case.options.batch))
    entries, started = [], []
    if isinstance(settings, SchNetSettings):
        rival = GeometricSchNet(settings, options.device)
        works = {
            "training step, eager": rival.training(batch),
            f"predicting {options.batch} frames": rival.prediction(batch.graph),
        }
        entries.append(Entry("torch_geometric's SchNet", rival.parameters, works))
    if isinstance(settings, NequIPSettings) and options.nequip:
        for mode in ("eager", "compile")[: 1 + options.compiled]:
            child = NequipPackage(options.nequip, settings, batch, mode)
            started.append(child)
            works = {
                f"training step, {mode}": child.work("training"),
                f"predicting {options.batch} frames": child.work("prediction"),
            }
            entries.append(Entry(f"nequip package, {mode}", child.parameters, works))
    yield entries
    for child in started:
        child.close()


def _row(entry: Entry, what: str, found: Measured, batch: int) -> str:
    least, most = found.spread
    frames = {"training": batch, "dynamics,": 1}.get(what.split()[0]) or int(what.split()[1])
    unit = "steps" if frames == 1 else "frames"
    return (
        f"| {entry.name} | {entry.parameters} | {what} | {found.wall_s:.4f} ({least:.4f} to "
        f"{most:.4f}) | {found.cpu_s:.4f} | {frames / found.wall_s:.0f} {unit} | "
        f"{found.first_s:.1f} |"
    )


def _scaled(what: str, seconds: float, rate: float) -> str:
    ours = seconds * rate / PUBLISHED_GFLOPS
    return (
        f"{what}: {ours:.3f} s scaled to {PUBLISHED_GFLOPS} GFLOP/s, {PUBLISHED_S / ours:.2f} times "
        f"as fast as the published code ({PUBLISHED_S} s)"
    )


def _profile(settings: ModelSettings, case: Case) -> None:
    run = training(settings, case.data, case.options.batch, compiled=False)
    run.step()
    with torch.profiler.profile() as found:
        for _ in range(5):
            run.step()
    table = found.key_averages().table(sort_by="self_cpu_time_total", row_limit=25)
    print(f"{settings.title}, 5 training steps\n{table}")


if __name__ == "__main__":
    main()
