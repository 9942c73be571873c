"""Coupled-cluster forces against differences of energies, degenerate orbitals included.

Ammonia and methane are at exact symmetry. Λ equations without the (T) terms would be wrong by
some 1e-3 hartree/bohr and would be caught here.
"""

import numpy as np
import pytest

from forgefield.labelers.ccsd_t import CcsdTLabeler
from forgefield.storage.records import Array, Configuration
from forgefield.storage.units import EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR

STEP = 0.004
TOLERANCE = 1e-6 * EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR
_TRIANGLE = [(0.95 * np.cos(a), 0.95 * np.sin(a), 0.0) for a in 2 * np.pi / 3 * np.arange(3)]
_CORNERS = [(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)]
MOLECULES = {
    "ammonia": ((7, 1, 1, 1), np.array([(0.0, 0.0, 0.4), *_TRIANGLE])),
    "methane": ((6, 1, 1, 1, 1), 0.63 * np.array([(0, 0, 0), *_CORNERS], dtype=float)),
    "methanol": (
        (6, 8, 1, 1, 1, 1),
        np.array(
            [
                (-0.37, 0.01, -0.02),
                (0.93, -0.54, -0.06),
                (-0.62, 0.47, 0.98),
                (-0.41, 0.84, -0.72),
                (-1.19, -0.78, -0.15),
                (1.56, 0.2, 0.04),
            ]
        ),
    ),
    "water": ((8, 1, 1), np.array([(0, 0, 0.1), (0.03, 0.78, -0.5), (0.0, -0.74, -0.46)])),
}


CASES = [(name, frozen, {}) for name in sorted(MOLECULES) for frozen in (True, False)]
CASES += [("water", True, {"triples": False}), ("water", True, {"fitted": True})]


@pytest.mark.parametrize(("name", "frozen_core", "options"), CASES)
def test_forces_are_the_slope_of_the_energy(
    name: str, frozen_core: bool, options: dict[str, bool]
) -> None:
    labeler = CcsdTLabeler("6-31G", frozen_core=frozen_core, noise=1e-6, **options)
    numbers, positions_A3 = MOLECULES[name]
    direction_A3 = np.random.default_rng(0).normal(size=positions_A3.shape)
    direction_A3 /= np.linalg.norm(direction_A3)

    def energy(steps: int) -> float:
        return label_at(labeler, numbers, positions_A3 + steps * STEP * direction_A3)[0]

    slope = (8 * (energy(1) - energy(-1)) - (energy(2) - energy(-2))) / (12 * STEP)
    forces_A3 = label_at(labeler, numbers, positions_A3)[1]
    assert abs(slope) > 0.05
    assert -slope == pytest.approx(np.vdot(forces_A3, direction_A3), abs=TOLERANCE)


def label_at(labeler: CcsdTLabeler, numbers: tuple[int, ...], positions_A3: Array) -> tuple:
    label = labeler.label(Configuration("m", numbers, positions_A3))
    return label.energy, label.forces_A3
