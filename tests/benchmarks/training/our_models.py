"""What is timed of our models: steps of training, batches of predictions, molecular dynamics."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from ase import Atoms, units
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet
from stopwatch import Spent, Work, repeated

from forgefield.storage.frames import Frames
from forgefield.trainers.calculator import ForgefieldCalculator
from forgefield.trainers.fitting.fit import _Fit
from forgefield.trainers.force_field import ForceField, Metadata
from forgefield.trainers.graphs import GraphSet
from forgefield.trainers.model_settings import (
    EGNNSettings,
    GemNetSettings,
    ModelSettings,
    NequIPSettings,
    PaiNNSettings,
    SchNetSettings,
)
from forgefield.trainers.models import Potential, build, energy_and_forces
from forgefield.trainers.settings import FitSettings

KINDS: dict[str, type[ModelSettings]] = {
    "egnn": EGNNSettings,
    "schnet": SchNetSettings,
    "painn": PaiNNSettings,
    "nequip": NequIPSettings,
    "gemnet": GemNetSettings,
}
RATE = 1e-4
SOFT_SCALE = 0.01
"""eV/Å: forces of a network that has learnt nothing hardly bend the path of an atom at 300 K."""


def settings_of(kind: str, frames: Frames) -> ModelSettings:
    """Default size, with weights for the elements of `frames`."""
    return KINDS[kind](elements=tuple(int(number) for number in np.unique(frames.numbers)))


def fresh(settings: ModelSettings, device: str) -> Potential:
    """The same random weights every time, float32."""
    torch.manual_seed(0)
    return build(settings).to(device)


def training(
    settings: ModelSettings, data: GraphSet, batch: int, *, compiled: bool
) -> Callable[[], None]:
    """A step of `fit` itself on a fresh model: its batch, loss, gradient, clipping, AdamW, average.

    Compiled it is the step that long fits take, eager that of short ones.
    """
    device = str(data.batch(np.arange(1)).energy_F.device)
    schedule = FitSettings(steps=10**9, batch=batch, rate=RATE, compiled=compiled)
    run = _Fit(fresh(settings, device), data, None, schedule, 1.0)
    if compiled != (run.captured is not None):
        raise SystemExit("molecules of several sizes are never trained on by compiled steps")

    def step() -> None:
        run.step()
        if run.said:
            raise SystemExit(run.said)

    return step


def prediction(settings: ModelSettings, data: GraphSet, frames: int, device: str) -> Work:
    """Energies and forces of a batch of `frames`."""
    model, graph = fresh(settings, device), data.batch(np.arange(frames)).graph
    return repeated(lambda: energy_and_forces(model, graph), device)


def dynamics(settings: ModelSettings, frames: Frames, device: str, *, double: bool) -> Work:
    """Steps of 0.5 fs of the first frame, from the same start in every round."""
    first = frames.atoms_of(0)
    atoms = Atoms(numbers=frames.numbers[first], positions=frames.positions_A3[first])
    atoms.calc = _calculator(settings, device, double=double)
    start = atoms.positions.copy()

    def work(times: int) -> Spent:
        atoms.positions[:] = start
        MaxwellBoltzmannDistribution(atoms, temperature_K=300, rng=np.random.default_rng(0))
        path = VelocityVerlet(atoms, timestep=0.5 * units.fs)
        path.run(1)
        spent = repeated(lambda: path.run(times), device)(1)
        return Spent(spent.wall_s / times, spent.cpu_s / times)

    return work


def _calculator(settings: ModelSettings, device: str, *, double: bool) -> ForgefieldCalculator:
    references = dict.fromkeys(settings.elements, 0.0)
    metadata = Metadata(method="none", scale=SOFT_SCALE, references=references, model=settings)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "force_field"
        ForceField.fresh(metadata).save(folder)
        return ForgefieldCalculator(folder, double=double, device=device)
