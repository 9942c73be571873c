"""Labels against published ones, where these are at hand.

They are looked for in the folder that FORGEFIELD_REFERENCE_DATA names, else in `../shared/data`
beside the checkout. `rmd17_ethanol.npz` is that of the revised MD17 set, with arrays `z`, `R`
(Å), `E` (kcal/mol) and `F` (kcal/mol/Å).
"""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from forgefield.labelers.registry import labeler_for
from forgefield.storage.records import Configuration
from forgefield.storage.units import KCAL_PER_MOL_PER_EV


def published(repository: Path, name: str) -> dict[str, np.ndarray]:
    folder = os.environ.get("FORGEFIELD_REFERENCE_DATA") or repository.parent / "shared" / "data"
    path = Path(folder) / name
    if not path.is_file():
        pytest.skip(f"{name} is not in the folder that FORGEFIELD_REFERENCE_DATA names")
    with np.load(path) as data:
        return {key: data[key] for key in ("z", "R", "E", "F")}


def errors(repository: Path, molecule: str, method: str, frames: Iterable[int]) -> np.ndarray:
    """Force differences (F, A, 3), kcal/mol/Å."""
    data = published(repository, f"rmd17_{molecule}.npz")
    labeler = labeler_for(method)
    numbers = tuple(int(z) for z in data["z"])
    found = []
    for frame in frames:
        positions_A3 = data["R"][frame].astype(np.float64)
        label = labeler.label(Configuration(molecule, numbers, positions_A3))
        found.append(label.forces_A3 * KCAL_PER_MOL_PER_EV - data["F"][frame])
    return np.array(found)


@pytest.mark.slow
@pytest.mark.parametrize("molecule", ["ethanol", "toluene"])
def test_dft_forces_are_those_of_rmd17(
    repository: Path, molecule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Twenty frames spread over the set; the goal is 0.005 kcal/mol/Å."""
    error_FA3 = errors(repository, molecule, "PBE/def2-SVP", range(0, 9600, 480))
    with capsys.disabled():
        print(  # noqa: T201
            f"\n{molecule}: mean {np.abs(error_FA3).mean():.5f}, largest "
            f"{np.abs(error_FA3).max():.5f} kcal/mol/Å over {len(error_FA3)} frames"
        )
    assert np.abs(error_FA3).mean() < 0.005


@pytest.mark.slow
def test_coupled_cluster_energies_follow_published_ones(repository: Path) -> None:
    """MD17@CCSD(T) ethanol, cc-pVTZ: Psi4 with all electrons; differences between frames.

    Frozen core is 0.7 kcal/mol off. Seven minutes on one core, 8 GB.
    """
    data = published(repository, "ethanol_ccsd_t-train.npz")
    labeler = labeler_for(
        "CCSD(T)/cc-pVTZ, all electrons, energy only", memory_bytes=20_000_000_000
    )
    numbers = tuple(int(z) for z in data["z"])
    ours, theirs = [], []
    for frame in (0, 1):
        shape = Configuration("ethanol", numbers, data["R"][frame].astype(np.float64))
        ours.append(labeler.label(shape).energy * KCAL_PER_MOL_PER_EV)
        theirs.append(float(np.ravel(data["E"])[frame]))
    assert ours[1] - ours[0] == pytest.approx(theirs[1] - theirs[0], abs=0.02)


def test_a_coarser_grid_is_further_away(repository: Path) -> None:
    """The reason for `dft.DEFAULT_GRID`."""
    coarse, default = (
        np.abs(errors(repository, "ethanol", f"PBE/def2-SVP{grid}", [5000])).mean()
        for grid in (", grid 3", "")
    )
    assert default < 0.005 < coarse


def test_dft_energy_is_that_of_rmd17(repository: Path) -> None:
    """One frame, total energy; kcal/mol."""
    data = published(repository, "rmd17_ethanol.npz")
    numbers = tuple(int(z) for z in data["z"])
    label = labeler_for("PBE/def2-SVP, energy only").label(
        Configuration("ethanol", numbers, data["R"][0].astype(float))
    )
    assert label.energy * KCAL_PER_MOL_PER_EV == pytest.approx(float(data["E"][0]), abs=0.5)
