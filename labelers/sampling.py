"""Configurations by Langevin dynamics under MMFF94.

Every pair of a temperature and a starting conformer is a walker of its own. Their frames are
`interval` apart, the time in which a walker forgets its fast motion, measured unless it is given
(`langevin.decorrelation`). Slow torsions are what the several conformers are for. Friction is far
above a real one, because only the distribution matters here.

The same molecule and settings give the same frames, in a seeded random order: any first part of
them is a fair sample of the whole. Where fewer distinct frames exist than were asked for, fewer
are given, with a note.

Legend: `F` frames, `A` atoms, `P` pairs. Å, K, fs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from forgefield.labelers.conformers import conformers
from forgefield.labelers.distinct import collided, distinct
from forgefield.labelers.langevin import Dynamics, Walker, decorrelation
from forgefield.labelers.mmff import mmff_system
from forgefield.storage.documents import Document
from forgefield.storage.geometry import pair_distances, sorted_distances
from forgefield.storage.records import Array, Molecule

Progress = Callable[[int, int], None]
SURPLUS = 1.03
"""More frames are run than are wanted, so that a few near-duplicates don't cost a round."""
STINT = 50
"""Frames between two words about progress."""


class SamplingSettings(Document):
    """How many frames, how hot, how far apart, and how different they must be."""

    frames: int = Field(1000, ge=1, le=1_000_000)
    temperatures: tuple[Annotated[float, Field(gt=0, le=3000)], ...] = Field(
        (300.0, 500.0, 700.0), min_length=1
    )
    """K; MD17 was made at 500."""
    conformers: int = Field(8, ge=1, le=1000)
    """Starting conformers tried; alike ones are dropped."""
    seed: int = Field(0, ge=0, lt=2**30)
    timestep: float = Field(0.5, gt=0, le=2)
    """fs"""
    friction: float = Field(20.0, gt=0)
    """1/ps"""
    interval: float | None = Field(None, gt=0)
    """fs between the frames of a walker; measured when not given."""
    equilibration: float = Field(500.0, ge=0)
    """fs that a walker runs before its first frame."""
    threshold: float = Field(0.005, ge=0)
    """Å; see `distinct` for the measure."""
    most_rounds: int = Field(8, ge=1)
    """Rounds of dynamics at most; each aims at what is still missing."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Frames (F, A, 3) Å, the temperature (F,) K and conformer (F,) they came from.

    `dropped` counts near-duplicates and collisions; `note` is empty, or says why there are
    fewer frames than were asked for.
    """

    positions_FA3: Array
    temperature_F: Array
    conformer_F: NDArray[np.int64]
    interval: float
    dropped: int
    note: str = ""

    def __len__(self) -> int:
        return len(self.positions_FA3)


def sample(
    molecule: Molecule, settings: SamplingSettings, progress: Progress | None = None
) -> Samples:
    """Distinct, decorrelated frames of a molecule under MMFF94.

    `progress` hears of (frames so far, frames asked for). Raises `InputError` where MMFF94
    can't describe the molecule.
    """
    dynamics = Dynamics(
        mmff_system(molecule),
        timestep=settings.timestep,
        friction=settings.friction,
        seed=settings.seed,
    )
    walkers = _walkers(molecule, settings)
    interval = settings.interval or decorrelation(dynamics, replace(walkers[0]))
    for walker in walkers:
        dynamics.run(walker, 1, settings.equilibration)
    samples = Samples(
        np.empty((0, len(molecule.numbers), 3)),
        np.empty(0),
        np.empty(0, dtype=np.int64),
        interval,
        dropped=0,
    )
    for _ in range(settings.most_rounds):
        if len(samples) >= settings.frames:
            break
        found = _round(dynamics, walkers, samples, settings, progress)
        samples = _without_alike(molecule, found, settings.threshold)
    return _cut(samples, settings)


def _walkers(molecule: Molecule, settings: SamplingSettings) -> list[Walker]:
    starts_CA3 = conformers(molecule, settings.conformers, settings.seed + 1)
    return [
        Walker(temperature, index, start_A3 / 10)
        for index, start_A3 in enumerate(starts_CA3)
        for temperature in settings.temperatures
    ]


def _round(
    dynamics: Dynamics,
    walkers: list[Walker],
    before: Samples,
    settings: SamplingSettings,
    progress: Progress | None,
) -> Samples:
    """`before` with what is missing added, every walker giving the same share."""
    missing = settings.frames - len(before)
    share = int(np.ceil(missing * SURPLUS / len(walkers)))
    blocks, origins = [before.positions_FA3], []
    done = len(before)
    for walker in walkers:
        for size in _stints(share):
            blocks.append(dynamics.run(walker, size, before.interval))
            origins += [(walker.temperature, walker.conformer)] * size
            done += size
            if progress:
                progress(min(done, settings.frames), settings.frames)
    temperature_F, conformer_F = np.array(origins).T
    return replace(
        before,
        positions_FA3=np.concatenate(blocks),
        temperature_F=np.concatenate([before.temperature_F, temperature_F]),
        conformer_F=np.concatenate([before.conformer_F, conformer_F.astype(np.int64)]),
    )


def _stints(frames: int) -> list[int]:
    return [STINT] * (frames // STINT) + [frames % STINT] * bool(frames % STINT)


def _without_alike(molecule: Molecule, samples: Samples, threshold: float) -> Samples:
    distances_FP = pair_distances(samples.positions_FA3)
    keep_F = ~collided(molecule.numbers, distances_FP)
    features_FP = sorted_distances(molecule.numbers, distances_FP[keep_F])
    keep_F[keep_F] = distinct(features_FP, threshold)
    return _taken(samples, np.flatnonzero(keep_F), samples.dropped + int((~keep_F).sum()))


def _cut(samples: Samples, settings: SamplingSettings) -> Samples:
    """As many as were asked for, in a seeded random order, with a note if there are fewer."""
    order_F = np.random.default_rng(settings.seed).permutation(len(samples))[: settings.frames]
    cut = _taken(samples, order_F, samples.dropped)
    if len(cut) == settings.frames:
        return cut
    note = (
        f"only {len(cut):,} distinct geometries of {settings.frames:,} wanted, it goes on with "
        f"these ({samples.dropped:,} samples were nearer than {settings.threshold} Å to another): "
        "lower `threshold`, raise `temperatures` or ask for fewer frames in [sampling]"
    )
    return replace(cut, note=note)


def _taken(samples: Samples, index_F: NDArray[np.intp], dropped: int) -> Samples:
    return replace(
        samples,
        positions_FA3=samples.positions_FA3[index_F],
        temperature_F=samples.temperature_F[index_F],
        conformer_F=samples.conformer_F[index_F],
        dropped=dropped,
    )
