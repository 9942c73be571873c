"""Files of water labelled by springs, sound ones and spoilt ones, and how they are imported."""

from pathlib import Path
from typing import Any

import numpy as np
from spring_files import Listener

from forgefield.platform.data_sets.importing import import_file
from forgefield.platform.foreign_labels.judging import Question
from forgefield.platform.foreign_labels.stated import Stated
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.records import Array
from forgefield.storage.units import EV_PER_HARTREE, EV_PER_KCAL_PER_MOL

NUMBERS = np.array([8, 1, 1])
REST = np.array([[0.0, 0.0, 0.0], [0.96, 0.0, 0.0], [-0.24, 0.93, 0.0]])
WATER_EV = -2079.0
KCAL = Stated(method="PBE/def2-SVP", energy_unit="kcal/mol")


def water(count: int, seed: int = 0) -> tuple[Array, Array, Array]:
    """Positions, energies (eV) and forces (eV/Å) of springs between the atoms of water."""
    positions = REST + np.random.default_rng(seed).normal(scale=0.04, size=(count, 3, 3))
    steps = positions[:, :, None] - positions[:, None]
    eye = np.eye(3)
    stretch = np.where(
        eye, 0, np.linalg.norm(steps, axis=3) - np.linalg.norm(REST[:, None] - REST, axis=2)
    )
    far = np.linalg.norm(steps, axis=3) + eye
    energies = WATER_EV + 7.0 * (stretch**2).sum(axis=(1, 2))
    return positions, energies, -28.0 * ((stretch / far)[..., None] * steps).sum(axis=2)


def archive(path: Path, count: int = 40, **changes: Any) -> Path:
    positions, energies, forces = water(count)
    arrays: dict[str, Any] = {
        "z": NUMBERS,
        "R": positions,
        "E": energies / EV_PER_KCAL_PER_MOL,
        "F": forces / EV_PER_KCAL_PER_MOL,
    }
    np.savez(path, **arrays | changes)
    return path


def imported(path: Path, folder: Path, stated: Stated = KCAL, **more: Any) -> Any:
    return import_file(Question(path, stated), RunFolder.at(folder), Listener(), **more)


def spoilt(what: str) -> dict[str, Any]:
    positions, energies, forces = water(40)
    energies, forces = energies / EV_PER_KCAL_PER_MOL, forces / EV_PER_KCAL_PER_MOL
    hartree = EV_PER_HARTREE / EV_PER_KCAL_PER_MOL
    return {
        "energies in Hartree": {"E": energies / hartree, "F": forces / hartree},
        "forces in another unit": {"F": forces * EV_PER_KCAL_PER_MOL},
        "gradients": {"F": -forces},
        "two units": {"E": np.where(np.arange(40) == 7, energies / hartree, energies)},
        "another energy of a frame": {
            "R": np.concatenate([positions, positions[:1]]),
            "E": np.append(energies, energies[0] + 0.01),
            "F": np.concatenate([forces, forces[:1]]),
        },
        "another method": {"theory": np.array("CCSD(T)/cc-pVTZ")},
        "another unit in the file": {"e_unit": np.array("eV")},
        "an impossible spin": {"multiplicity": np.array(2)},
        "a broken last frame": {"E": np.append(energies[:-1], np.nan)},
    }[what]
