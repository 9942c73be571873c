"""Files to replay in tests: the spring molecule by two methods, whose labels are known exactly."""

from pathlib import Path
from typing import Any

import numpy as np
import spring_files as springs

from forgefield.labelers.molecules import find_molecule
from forgefield.platform.planning.recipe import Recipe
from forgefield.storage.records import Array

FORMALDEHYDE = find_molecule("formaldehyde")
CARBONYL_LAST = [2, 1, 3, 0]
"""Hydrogen, oxygen, hydrogen, carbon: another order of atoms than the molecule's."""


def renumbered(path: Path, positions_NA3: Array, stiffness: float) -> Path:
    """A file whose atoms are in another order."""
    energy_N, forces_NA3 = springs.labels(positions_NA3, stiffness)
    np.savez(
        path,
        z=springs.NUMBERS[CARBONYL_LAST],
        R=positions_NA3[:, CARBONYL_LAST],
        E=energy_N,
        F=forces_NA3[:, CARBONYL_LAST],
    )
    return path


def section(path: Path, **more: Any) -> dict[str, Any]:
    """One tier of `[replay]`."""
    named = {"file": str(path), "method": "SPRINGS/one", "unit": "eV", "price": 100.0}
    return named | more


def recipe(replay: dict[str, Any], **more: Any) -> Recipe:
    """A recipe that replays."""
    return Recipe.model_validate({"replay": replay} | more)
