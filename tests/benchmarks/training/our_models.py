"""What is timed of our models: steps of training, batches of predictions, molecular dynamics."""

import tempfile
from pathlib import Path

import numpy as np
import torch
from ase import Atoms, units
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet
from stopwatch import Spent, Work, repeated

from forgefield.storage.frames import Frames
from forgefield.trainers.calculator import ForgefieldCalculator
from forgefield.trainers.fitting.captured import CapturedStep
from forgefield.trainers.fitting.flat import FlatParameters
from forgefield.trainers.fitting.objectives import Labels
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

KINDS: dict[str, type[ModelSettings]] = {
    "egnn": EGNNSettings,
    "schnet": SchNetSettings,
    "painn": PaiNNSettings,
    "nequip": NequIPSettings,
    "gemnet": GemNetSettings,
}
RATE, CLIP, DECAY = 1e-4, 10.0, 0.995
SOFT_SCALE = 0.01
"""eV/Å: forces of a network that has learnt nothing hardly bend the path of an atom at 300 K."""


def settings_of(kind: str, frames: Frames) -> ModelSettings:
    """Default size, with weights for the elements of `frames`."""
    return KINDS[kind](elements=tuple(int(number) for number in np.unique(frames.numbers)))


def fresh(settings: ModelSettings, device: str) -> Potential:
    """The same random weights every time, float32."""
    torch.manual_seed(0)
    return build(settings).to(device)


class Training:
    """What `fit` does at every step: batch, loss, gradient, clipping, AdamW, moving average."""

    def __init__(self, model: Potential, data: GraphSet, batch: int, *, compiled: bool) -> None:
        self.model, self.data, self.batch = model, data, batch
        self.objective = Labels()
        self.flat = FlatParameters(model)
        self.average = self.flat.values.detach().clone()
        self.optimiser = torch.optim.AdamW([self.flat.values], lr=RATE, fused=True)
        self.captured = CapturedStep(model, self.objective) if compiled else None
        self.generator = np.random.default_rng(0)

    def step(self) -> None:
        """One of them."""
        index = self.generator.permutation(len(self.data))[: self.batch]
        batch = self.data.batch(index)
        if self.captured is None:
            self.flat.gradient.zero_()
            loss = self.objective(self.model, batch, ()) / self.batch
            loss.backward(inputs=self.flat.parts)
        else:
            found = self.captured(self.flat.values.detach(), batch, ())
            assert found is not None
            torch.mul(found[1], 1 / self.batch, out=self.flat.gradient)
        self.flat.clip(CLIP)
        self.optimiser.step()
        self.average.lerp_(self.flat.values.detach(), 1 - DECAY)


def training(settings: ModelSettings, data: GraphSet, batch: int, *, compiled: bool) -> Training:
    """Steps of a fresh model on the device of `data`."""
    device = str(data.batch(np.arange(1)).energy_F.device)
    return Training(fresh(settings, device), data, batch, compiled=compiled)


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
