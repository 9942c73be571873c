"""Labels against published ones, where these are at hand.

They are looked for in the folder that FORGEFIELD_REFERENCE_DATA names, else in `../shared/data`
beside the checkout. `rmd17_ethanol.npz` is that of the revised MD17 set, with arrays `z`, `R`
(Å), `E` (kcal/mol) and `F` (kcal/mol/Å).
"""

import os
from pathlib import Path

import numpy as np
import pytest

from forgefield.labelers.registry import labeler_for
from forgefield.storage.records import Configuration
from forgefield.storage.units import KCAL_PER_MOL_PER_EV

FRAMES = (0, 1000, 5000)


def published(repository: Path, name: str) -> dict[str, np.ndarray]:
    folder = os.environ.get("FORGEFIELD_REFERENCE_DATA") or repository.parent / "shared" / "data"
    path = Path(folder) / name
    if not path.is_file():
        pytest.skip(f"{name} is not in the folder that FORGEFIELD_REFERENCE_DATA names")
    with np.load(path) as data:
        return {key: data[key] for key in ("z", "R", "E", "F")}


@pytest.mark.parametrize(
    ("method", "mean_error"), [("PBE/def2-SVP", 0.01), ("PBE/def2-SVP, grid 4", 0.004)]
)
@pytest.mark.slow
def test_dft_forces_are_those_of_rmd17(repository: Path, method: str, mean_error: float) -> None:
    """Mean absolute force difference for ethanol, kcal/mol/Å; 0.006 at grid 3, 0.002 at grid 4."""
    data = published(repository, "rmd17_ethanol.npz")
    labeler = labeler_for(method)
    numbers = tuple(int(z) for z in data["z"])
    errors = [
        labeler.label(Configuration("ethanol", numbers, data["R"][i].astype(float))).forces_A3
        * KCAL_PER_MOL_PER_EV
        - data["F"][i]
        for i in FRAMES
    ]
    assert np.abs(errors).mean() < mean_error


def test_dft_energy_is_that_of_rmd17(repository: Path) -> None:
    """One frame, total energy; kcal/mol."""
    data = published(repository, "rmd17_ethanol.npz")
    numbers = tuple(int(z) for z in data["z"])
    label = labeler_for("PBE/def2-SVP").label(
        Configuration("ethanol", numbers, data["R"][0].astype(float))
    )
    assert label.energy * KCAL_PER_MOL_PER_EV == pytest.approx(float(data["E"][0]), abs=0.5)
    error_A3 = label.forces_A3 * KCAL_PER_MOL_PER_EV - data["F"][0]
    assert np.abs(error_A3).mean() < 0.01
