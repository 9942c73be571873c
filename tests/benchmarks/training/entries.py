"""Which works are timed for a model: ours, and the same ones of an independent implementation."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from our_models import dynamics, fresh, prediction, training
from rivals import GeometricSchNet, NequipPackage
from stopwatch import Work, repeated

from forgefield.storage.frames import Frames
from forgefield.trainers.graphs import GraphSet
from forgefield.trainers.model_settings import ModelSettings, NequIPSettings, SchNetSettings

PREDICTED = 32
"""Frames of a large batch whose energies and forces are asked for."""


@dataclass(frozen=True)
class Task:
    """Work on so many frames at once; a step of dynamics is one."""

    work: Work
    frames: int


@dataclass
class Entry:
    """Tasks of one program with one model, by name."""

    name: str
    parameters: int
    tasks: dict[str, Task] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """What is measured, the same for all programs."""

    settings: ModelSettings
    frames: Frames
    data: GraphSet
    options: argparse.Namespace


def ours(case: Case) -> Entry:
    """Training eagerly and compiled, predictions of two sizes, dynamics in both precisions."""
    settings, data, options = case.settings, case.data, case.options
    count = sum(one.numel() for one in fresh(settings, "cpu").parameters())
    entry = Entry(settings.title, count)
    for compiled in (False, True)[: 1 + options.compiled]:
        step = training(settings, data, options.batch, compiled=compiled)
        name = f"training step, {'compiled' if compiled else 'eager'}"
        entry.tasks[name] = Task(repeated(step, options.device), options.batch)
    for frames in (options.batch, PREDICTED):
        work = prediction(settings, data, frames, options.device)
        entry.tasks[f"energies and forces of {frames} frames"] = Task(work, frames)
    for double in (True, False):
        work = dynamics(settings, case.frames, options.device, double=double)
        entry.tasks[f"step of dynamics, float{64 if double else 32}"] = Task(work, 1)
    return entry


@contextmanager
def rivals(case: Case) -> Iterator[list[Entry]]:
    """Independent implementations of this model, where there are any."""
    settings, options = case.settings, case.options
    if isinstance(settings, SchNetSettings):
        yield [_geometric(settings, case)]
    elif isinstance(settings, NequIPSettings) and options.nequip:
        published = settings.model_copy(update={"products": 0})
        like_it = ours(replace(case, settings=published))
        like_it.name = "NequIP without products"
        batch = case.data.batch(np.arange(options.batch))
        modes = ("eager", "compile")[: 1 + options.compiled]
        children = {mode: NequipPackage(options.nequip, published, batch, mode) for mode in modes}
        yield [like_it, *(_package(each, mode, options.batch) for mode, each in children.items())]
        for child in children.values():
            child.close()
    else:
        yield []


def _geometric(settings: SchNetSettings, case: Case) -> Entry:
    size = case.options.batch
    batch = case.data.batch(np.arange(size))
    rival = GeometricSchNet(settings, case.options.device)
    tasks = {
        "training step, eager": Task(rival.training(batch), size),
        f"energies and forces of {size} frames": Task(rival.prediction(batch.graph), size),
    }
    return Entry("torch_geometric's SchNet", rival.parameters, tasks)


def _package(child: NequipPackage, mode: str, size: int) -> Entry:
    tasks = {
        "training step": Task(child.work("training"), size),
        f"energies and forces of {size} frames": Task(child.work("prediction"), size),
    }
    return Entry(f"the nequip package, {mode}", child.parameters, tasks)
