"""Frames of one molecule from arrays, and the reference data that this project did not make."""

from pathlib import Path

import numpy as np
import pytest

from forgefield.storage.frames import Frames
from forgefield.storage.records import (
    Array,
    Configuration,
    Job,
    Label,
    Method,
    Provenance,
    Purpose,
    Tier,
)
from forgefield.storage.settled_frames import StoredFrame, from_stored
from forgefield.storage.units import EV_PER_KCAL_PER_MOL

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
CCSD = Method(Tier.CCSD, "CCSD(T)/cc-pVTZ")
DFT = Method(Tier.DFT, "PBE/def2-SVP")


def frames_of(
    numbers: Array, positions_FA3: Array, energy_F: Array, forces_FA3: Array, method: Method = CCSD
) -> Frames:
    """Frames in eV and Å, labels by one method."""
    origin = Provenance("test", "1", "here", 1, 0.1, 0.1)
    species = tuple(int(number) for number in numbers)
    stored = [
        StoredFrame(
            place + 1,
            Job(Configuration("molecule", species, positions), method, Purpose.TRAIN),
            Label(float(energy), forces, origin),
            1000,
        )
        for place, (positions, energy, forces) in enumerate(
            zip(positions_FA3, energy_F, forces_FA3, strict=True)
        )
    ]
    return from_stored(stored)


def reference(name: str) -> dict[str, Array]:
    """Arrays of a file of the reference data; the test is skipped where it isn't there."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{name} of the reference data isn't here")
    with np.load(path) as arrays:
        return {key: arrays[key] for key in arrays.files if arrays[key].dtype != object}


def ethanol() -> Frames:
    """The 1000 CCSD(T)/cc-pVTZ frames of MD17@CCSD(T)."""
    found = reference("ethanol_ccsd_t-train.npz")
    unit = EV_PER_KCAL_PER_MOL
    return frames_of(found["z"], found["R"], found["E"].ravel() * unit, found["F"] * unit)
