"""The systems of the error grid, and the files that posing tiers need.

Where published labels have no middle tier, PBE poses as the target: of the rMD17 file some frames
are the accurate ones, and others, with other geometries, get labels of a cheap method by our own
labelers. Both parts are written once as files in kcal/mol and Å.

Legend: `N` frames, `A` atoms. Units of the files: kcal/mol, kcal/mol/Å.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from forgefield.labelers.labeler import Labeler
from forgefield.labelers.registry import labeler_for
from forgefield.labelers.structure_files import perceived
from forgefield.storage.records import Configuration
from forgefield.storage.units import KCAL_PER_MOL_PER_EV

ACCURATE_FRAMES, MIDDLE_FRAMES = 1000, 2300
"""Frames of a split rMD17 file: enough for training, validation and test, and for one grid."""
ALL = (0, 100, 500, 2000)


@dataclass(frozen=True, slots=True)
class System:
    """Two tiers of one molecule; `posing` is the rMD17 file that is split where there is one.

    `rungs` are numbers of middle labels, 0 being training from scratch.
    """

    name: str
    target: str
    middle: str
    accurate: str = ""
    cheap: str = ""
    unit: str = "kcal/mol"
    posing: str = ""
    rungs: tuple[int, ...] = ALL


def _posing(molecule: str, middle: str, name: str, rungs: tuple[int, ...] = ALL) -> System:
    return System(name, "PBE/def2-SVP", middle, posing=f"rmd17_{molecule}.npz", rungs=rungs)


SYSTEMS = (
    System(
        "h2co",
        "CCSD(T)-F12B/aug-cc-pVTZ-F12",
        "B3LYP/cc-pVDZ",
        "h2co_ccsdt_avtz_4001.npz",
        "h2co_B3LYP_cc-pVDZ_4001.npz",
        unit="eV",
    ),
    System(
        "ethanol",
        "CCSD(T)/cc-pVTZ",
        "PBE/def2-SVP",
        "ethanol_ccsd_t-train.npz",
        "rmd17_ethanol.npz",
    ),
    _posing("ethanol", "GFN2-xTB", "ethanol-xtb"),
    _posing("benzene", "GFN2-xTB", "benzene-xtb"),
    _posing("toluene", "GFN2-xTB", "toluene-xtb"),
    _posing("ethanol", "MMFF94", "ethanol-mmff", (500, 2000)),
)


def files_of(system: System, data: Path, made: Path) -> tuple[Path, Path]:
    """The accurate and the middle file of a system; those of a posing one are made in `made`."""
    if not system.posing:
        return data / system.accurate, data / system.cheap
    accurate = made / f"accurate-{system.posing}"
    middle = made / f"{system.middle}-{system.posing}"
    if not (accurate.exists() and middle.exists()):
        made.mkdir(parents=True, exist_ok=True)
        _split(system, np.load(data / system.posing), accurate, middle)
    return accurate, middle


def _split(system: System, rmd17: np.lib.npyio.NpzFile, accurate: Path, middle: Path) -> None:
    """The first frames of a shuffle for the target, the next ones to be labelled anew."""
    order = np.random.default_rng(0).permutation(len(rmd17["E"]))
    first, rest = np.split(order[: ACCURATE_FRAMES + MIDDLE_FRAMES], [ACCURATE_FRAMES])
    z_A, positions_NA3 = rmd17["z"], rmd17["R"]
    _write(accurate, z_A, positions_NA3[first], rmd17["E"][first], rmd17["F"][first])
    energy_N, forces_NA3 = _labelled(labeler_for(system.middle), z_A, positions_NA3[rest])
    _write(middle, z_A, positions_NA3[rest], energy_N, forces_NA3)


def _labelled(
    labeler: Labeler, z_A: np.ndarray, positions_NA3: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    numbers = tuple(map(int, z_A))
    molecule = perceived("posing", numbers, positions_NA3[0], 0)
    labeler.prepare(molecule)
    labels = [
        labeler.label(Configuration(molecule.name, numbers, positions_A3))
        for positions_A3 in positions_NA3
    ]
    energy_N = np.array([label.energy for label in labels])
    forces_NA3 = np.array([label.forces_A3 for label in labels])
    return energy_N * KCAL_PER_MOL_PER_EV, forces_NA3 * KCAL_PER_MOL_PER_EV


def _write(
    path: Path,
    z_A: np.ndarray,
    positions_NA3: np.ndarray,
    energy_N: np.ndarray,
    forces_NA3: np.ndarray,
) -> None:
    partial = path.with_name(f".{path.name}")
    np.savez(partial, z=z_A, R=positions_NA3, E=energy_N, F=forces_NA3)
    partial.replace(path)
