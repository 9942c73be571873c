"""What was computed, in a frame of extended XYZ: energy, forces, stress, by one calculator.

Names come in families: `energy`, `forces`, `stress`, `virial` as ASE has them, and the same with
`REF_` before them (MACE). Two families in one file are two calculators, whose numbers don't belong
together. A `virial` is turned into a stress: minus the virial by the volume, ASE's sign.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from forgefield.storage.errors import InputError
from forgefield.storage.records import Array

PLAIN, REFERENCE = "", "REF_"
ENERGIES = {PLAIN: ("energy", "Energy", "free_energy"), REFERENCE: ("REF_energy",)}
FORCES = {PLAIN: ("forces", "force"), REFERENCE: ("REF_forces", "REF_force")}
STRESSES = {PLAIN: ("stress",), REFERENCE: ("REF_stress",)}
VIRIALS = {PLAIN: ("virial", "virials"), REFERENCE: ("REF_virial", "REF_virials")}
SAME_SHARE = 0.02
"""A stress and a virial that differ by more aren't of one calculation."""
NO_BOX = np.full((3, 3), np.nan)


def family_of(names: Collection[str], where: str) -> str:
    """The family that names of fields and columns belong to; raises `InputError` for two."""
    plain, reference = (_there(names, family) for family in (PLAIN, REFERENCE))
    if plain and reference:
        raise InputError(
            f"{where} has {', '.join(plain)} and {', '.join(reference)}, of two calculators. Drop "
            "the ones or the others: only one of them are the labels."
        )
    return REFERENCE if reference else PLAIN


def _there(names: Collection[str], family: str) -> list[str]:
    known = [*ENERGIES[family], *FORCES[family], *STRESSES[family], *VIRIALS[family]]
    return [name for name in known if name in names]


def energy_of(info: Mapping[str, Any], family: str, frame: int, path: Path) -> float:
    """The energy of a frame; raises `InputError` where it has none."""
    name = next((name for name in ENERGIES[family] if name in info), None)
    if name is None:
        wanted = ENERGIES[family][0]
        raise InputError(f"Frame {frame} of {path} has no energy; it needs {wanted}=… in its line.")
    return float(info[name])


def cell_of(info: Mapping[str, Any]) -> Array:
    """Rows are vectors; a direction that isn't periodic has a row of zeros."""
    if "Lattice" not in info:
        return NO_BOX
    periodic = np.broadcast_to(np.asarray(info.get("pbc", True), dtype=bool), (3,))
    if not periodic.any():
        return NO_BOX
    return np.where(periodic[:, None], np.asarray(info["Lattice"], dtype=np.float64).T, 0.0)


def stress_of(info: Mapping[str, Any], family: str, frame: int, path: Path) -> Array:
    """Stress (3, 3), NaN where none is stated.

    Raises `InputError` for a virial without a box, and for one that contradicts the stress.
    """
    stress = _tensor(info, STRESSES[family])
    virial = _tensor(info, VIRIALS[family])
    if virial is None:
        return NO_BOX if stress is None else stress
    volume = abs(float(np.linalg.det(cell_of(info))))
    if not volume > 0:
        raise InputError(f"Frame {frame} of {path} has a virial, but no box. Leave the virial out.")
    found = -virial / volume
    if stress is not None and np.abs(stress - found).max() > SAME_SHARE * np.abs(stress).max():
        raise InputError(
            f"Frame {frame} of {path} has a stress that isn't minus its virial by the volume. "
            "Leave out the one that isn't right (stress has ASE's sign)."
        )
    return found if stress is None else stress


def _tensor(info: Mapping[str, Any], names: Collection[str]) -> Array | None:
    name = next((name for name in names if name in info), None)
    if name is None:
        return None
    found = np.asarray(info[name], dtype=np.float64)
    if found.shape == (6,):
        xx, yy, zz, yz, xz, xy = found
        return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    return found.reshape(3, 3).T
