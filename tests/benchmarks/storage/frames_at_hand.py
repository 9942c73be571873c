"""Frames of the size of aspirin (21 atoms) for the benchmarks: as labels, and as arrays."""

from dataclasses import dataclass

import numpy as np

from forgefield.storage.records import Configuration, Job, Label, Method, Provenance, Purpose, Tier
from forgefield.storage.settled_frames import StoredFrame

NUMBERS = (6,) * 9 + (8,) * 4 + (1,) * 8
METHOD = Method(Tier.XTB, "GFN2-xTB")


@dataclass(frozen=True, slots=True, eq=False)
class Arrays:
    """`positions` and `forces` (F, 21, 3), `energy` (F,): thermal noise around one geometry."""

    positions: np.ndarray
    forces: np.ndarray
    energy: np.ndarray


def arrays(frames: int) -> Arrays:
    """Random frames of full precision, which hardly compress, as real ones."""
    dice = np.random.default_rng(0)
    start = dice.normal(size=(len(NUMBERS), 3)) * 2
    noise = dice.normal(size=(frames, len(NUMBERS), 3))
    energy = -17_000 + dice.normal(size=frames)
    return Arrays(start + 0.1 * noise, dice.normal(size=noise.shape), energy)


def labels(made: Arrays) -> list[StoredFrame]:
    """The same frames as the ledger gives them."""
    origin = Provenance("tblite", "0.8", "node1", 1, 0.01, 0.01, {"gap_eV": 5.0})
    return [
        StoredFrame(
            seq,
            Job(Configuration("aspirin", NUMBERS, positions), METHOD, Purpose.TRAIN),
            Label(float(energy), forces, origin),
            10_000,
        )
        for seq, (positions, forces, energy) in enumerate(
            zip(made.positions, made.forces, made.energy, strict=True), start=1
        )
    ]
