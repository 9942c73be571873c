"""Frames without meaning, for measurements of speed: a molecule distorted by 0.05 Å.

Forces are of the usual size (1 eV/Å) and random.
"""

import numpy as np

from forgefield.labelers.molecules import find_molecule
from forgefield.storage.frames import Frames
from forgefield.storage.records import (
    Configuration,
    Job,
    Label,
    Method,
    Molecule,
    Provenance,
    Purpose,
    Tier,
)
from forgefield.storage.settled_frames import StoredFrame, from_stored

DISTORTION_A = 0.05
METHOD = Method(Tier.CCSD, "random numbers")
ORIGIN = Provenance("benchmark", "", "", 1, 0.0, 0.0)


def distorted(name: str, count: int) -> Frames:
    """`count` frames of the molecule called `name`, always the same ones."""
    molecule, generator = find_molecule(name), np.random.default_rng(0)
    return from_stored([_frame(molecule, place, generator) for place in range(count)])


def _frame(molecule: Molecule, place: int, generator: np.random.Generator) -> StoredFrame:
    shape = molecule.positions_A3.shape
    positions_A3 = molecule.positions_A3 + generator.normal(scale=DISTORTION_A, size=shape)
    shown = Configuration(molecule.name, molecule.numbers, positions_A3)
    label = Label(float(generator.normal()), generator.normal(size=shape), ORIGIN)
    return StoredFrame(place + 1, Job(shown, METHOD, Purpose.TRAIN), label, 1)
