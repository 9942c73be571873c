"""Files of labels for benchmark tests: one molecule of springs, two methods, shared geometries.

Energies in kcal/mol and Å like MD17's archives, unless told otherwise.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forgefield.storage.units import KCAL_PER_MOL_PER_EV

Array = NDArray[np.float64]
NUMBERS = np.array([6, 8, 1, 1])
SHAPE = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.2], [0.94, 0.0, -0.54], [-0.94, 0.0, -0.54]])
RECIPE = """
model = { kind = "egnn", layers = 2, channels = 8, radial = 6 }
standard = { steps = 12, evaluate_every = 4, batch = 8, warm_up = 2, ema = 0.5 }
pretrain = { steps = 12, evaluate_every = 4, batch = 8, warm_up = 2, ema = 0.5 }
finetune = { steps = 8, evaluate_every = 4, batch = 8, warm_up = 2, ema = 0.5 }
"""
"""A small model and short schedules."""
ACCURATE, CHEAP = 8.0, 7.0
"""Stiffness of the two methods, eV/Å²."""


def labels(positions_NA3: Array, stiffness: float) -> tuple[Array, Array]:
    """Energies (N,) eV and forces (N, A, 3) eV/Å of anharmonic springs between all atoms."""
    first, second = np.triu_indices(len(NUMBERS), 1)
    gap_NP3 = positions_NA3[:, first] - positions_NA3[:, second]
    length_NP = np.linalg.norm(gap_NP3, axis=2)
    stretch_NP = length_NP - np.linalg.norm(SHAPE[first] - SHAPE[second], axis=1)
    energy_N = stiffness * (stretch_NP**2 - 0.6 * stretch_NP**3).sum(axis=1) - 16.0
    slope_NP = stiffness * (2 * stretch_NP - 1.8 * stretch_NP**2)
    pull_NP3 = (slope_NP / length_NP)[..., None] * gap_NP3
    forces_NA3 = np.zeros_like(positions_NA3)
    for place, (i, j) in enumerate(zip(first, second, strict=True)):
        forces_NA3[:, i] -= pull_NP3[:, place]
        forces_NA3[:, j] += pull_NP3[:, place]
    return energy_N, forces_NA3


def distortions(count: int, seed: int) -> Array:
    """Random geometries, (count, A, 3) Å."""
    noise = np.random.default_rng(seed).normal(scale=0.08, size=(count, *SHAPE.shape))
    return np.asarray(SHAPE + noise)


def turned(positions_NA3: Array, seed: int = 5) -> Array:
    """The same geometries as a whole turned and moved."""
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    rotation *= np.sign(np.linalg.det(rotation))
    return np.asarray(positions_NA3 @ rotation + np.array([0.3, -1.0, 2.0]))


def write(path: Path, positions_NA3: Array, stiffness: float, **changes: Any) -> Path:
    """An sGDML archive of `stiffness`; `changes` replace arrays, `scale` the unit of energy."""
    scale = changes.pop("scale", KCAL_PER_MOL_PER_EV)
    energy_N, forces_NA3 = labels(positions_NA3, stiffness)
    arrays = {"z": NUMBERS, "R": positions_NA3, "E": energy_N * scale, "F": forces_NA3 * scale}
    np.savez(path, **{**arrays, **changes})
    return path


class Listener:
    """A reporter that keeps nothing, or interrupts when the named bar is first moved."""

    def __init__(self, stop_at: str = "") -> None:
        self.stop_at = stop_at

    def say(self, text: str) -> None:
        """Nobody hears it."""

    def bar(self, name: str, done: int, total: int, detail: str = "") -> None:
        """Interrupt here, or not."""
        del done, total, detail
        if name == self.stop_at:
            raise KeyboardInterrupt

    def end(self, name: str) -> None:
        """A step is over."""

    def labels(self, progress: Any) -> None:
        """Nothing is labelled here."""


class Ears(Listener):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def say(self, text: str) -> None:
        """Keep it."""
        self.said.append(text)
