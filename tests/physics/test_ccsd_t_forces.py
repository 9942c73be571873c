"""CCSD(T) forces against differences of energies where they are known to go wrong.

Degenerate orbitals (ammonia and methane at exact symmetry), and Λ equations without the (T)
terms, which are wrong by some 1e-3 hartree/bohr and would be caught here.
"""

import numpy as np
import pytest

from forgefield.labelers import ccsd_t
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
    "water": ((8, 1, 1), np.array([(0, 0, 0.1), (0.03, 0.78, -0.5), (0.0, -0.74, -0.46)])),
}


@pytest.mark.parametrize("frozen_core", [True, False])
@pytest.mark.parametrize("name", sorted(MOLECULES))
def test_forces_are_the_slope_of_the_energy(
    name: str, frozen_core: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ccsd_t, "SCF_ENERGY", 1e-12)
    monkeypatch.setattr(ccsd_t, "SCF_GRADIENT", 1e-8)
    monkeypatch.setattr(ccsd_t, "CC_ENERGY", 1e-11)
    monkeypatch.setattr(ccsd_t, "AMPLITUDES", 1e-8)
    labeler = CcsdTLabeler("6-31G", frozen_core=frozen_core)
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
