"""Our NequIP against the `nequip` package: the same weights, the same energies and forces.

The fast test reads numbers that the package gave, for weights that follow from a formula; the
slow one asks the package itself, in an environment of its own (needs a package index).

    PYTHONPATH=tests python tests/trainers/models/test_nequip_agreement.py PYTHON

writes the numbers anew, by the interpreter of such an environment.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nequip_weights import fill_by_formula, foreign_weights
from own_environment import python_with

from forgefield.storage.records import Array
from forgefield.trainers.graphs.graph_set import graph_of_one
from forgefield.trainers.graphs.neighbours import into_slots, near_pairs
from forgefield.trainers.model_settings import NequIPSettings
from forgefield.trainers.models.nequip import NequIP
from forgefield.trainers.models.potential import energy_and_forces

HERE = Path(__file__).resolve().parent
PACKAGES = ("nequip==0.19.1", "torch==2.13.0")
STORED = HERE / "nequip_reference.json"
CUTOFF = 3.0
NUMBERS = np.array([1, 6, 8, 1, 1, 6, 1, 8, 1])
POSITIONS = np.array(
    [
        [2.5, 1.1, 0.2],
        [0.1, 3.3, 3.7],
        [2.4, 2.9, 2.2],
        [3.7, 3.3, 0.0],
        [3.4, 0.1, 2.9],
        [0.7, 3.5, 2.2],
        [1.2, 1.7, 0.1],
        [0.5, 2.7, 2.6],
        [2.5, 1.5, 4.0],
    ]
)
KINDS = {
    "orders 0 to 2": {"layers": 3, "channels": (5, 4, 3)},
    "orders 0 and 1": {"layers": 2, "channels": (4, 6)},
    "scalars": {"layers": 2, "channels": (6,)},
    "one layer": {"layers": 1, "channels": (3, 2)},
}


def settings(kind: str) -> NequIPSettings:
    return NequIPSettings(
        cutoff=CUTOFF,
        elements=(1, 6, 8),
        radial=4,
        radial_width=6,
        species=3,
        neighbours=7.0,
        products=0,
        **KINDS[kind],  # type: ignore[arg-type]
    )


def ours(kind: str) -> tuple[NequIP, float, Array]:
    model = NequIP(settings(kind)).double()
    fill_by_formula(model)
    pairs = near_pairs(np.array([0, len(NUMBERS)]), POSITIONS, CUTOFF)
    slots = into_slots(pairs, len(NUMBERS), CUTOFF, at_least=1)
    graph = graph_of_one(NUMBERS, POSITIONS, slots, torch.float64, "cpu")
    energy, forces = energy_and_forces(model, graph)
    return model, float(energy), forces.numpy()


def theirs(python: Path, kind: str, folder: Path) -> tuple[float, Array]:
    model = NequIP(settings(kind)).double()
    fill_by_formula(model)
    text = json.dumps(settings(kind).model_dump())
    molecule: dict[str, Any] = {"numbers": NUMBERS, "positions_A3": POSITIONS, "settings": text}
    np.savez(folder / "in.npz", **molecule, **foreign_weights(model))
    child = [HERE / "nequip_child.py", folder / "in.npz", folder / "out.npz"]
    ran = subprocess.run(  # noqa: S603
        [python, "-W", "ignore", *child],
        env=os.environ | {"PYTHONPATH": str(HERE.parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    with np.load(folder / "out.npz") as found:
        return float(found["energy"]), found["forces_A3"]


def assert_same(kind: str, energy: float, forces_A3: Array) -> None:
    _, our_energy, our_forces = ours(kind)
    assert our_energy == pytest.approx(energy, rel=1e-11)
    np.testing.assert_allclose(our_forces, forces_A3, rtol=0, atol=1e-11 * np.abs(forces_A3).max())


@pytest.mark.parametrize("kind", KINDS)
def test_energies_and_forces_are_those_that_the_package_gave(kind: str) -> None:
    stored = json.loads(STORED.read_text(encoding="utf-8"))[kind]
    assert np.abs(stored["forces_A3"]).max() > 1e-3
    assert_same(kind, stored["energy"], np.array(stored["forces_A3"]))


@pytest.mark.slow
def test_the_package_itself_gives_the_same(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    python = python_with(PACKAGES, tmp_path_factory)
    for kind in KINDS:
        assert_same(kind, *theirs(python, kind, tmp_path))


def main(python: Path, folder: Path) -> None:
    """Ask the package and write the reference numbers."""
    found = {}
    for kind in KINDS:
        energy, forces_A3 = theirs(python, kind, folder)
        found[kind] = {"energy": energy, "forces_A3": forces_A3.tolist()}
    STORED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        main(Path(sys.argv[1]), Path(scratch))
