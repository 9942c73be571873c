"""The mesh of particle-mesh Ewald: how finely a box is divided, and how wide its charges are.

OpenMM would choose it for the box that a context was made with, and keep it for other boxes: labels
would depend on what was labelled before, by 2e-3 eV for 64 waters. The formulas are OpenMM's own
(user guide, 18.4.4; after Essmann and others, J. Chem. Phys. 103, 8577 (1995)).
"""

import math
from dataclasses import dataclass

import openmm

from forgefield.storage.records import Array

NM_PER_ANGSTROM = 0.1
LEAST_POINTS = 6


@dataclass(frozen=True, slots=True)
class Mesh:
    """`alpha` in 1/nm, and mesh points along each vector."""

    alpha: float
    points: tuple[int, int, int]

    @classmethod
    def of(cls, vectors_33: Array, cutoff_A: float, tolerance: float) -> "Mesh":
        """For lattice vectors in standard form (rows, Å) and a relative error of forces."""
        alpha = math.sqrt(-math.log(2 * tolerance)) / (cutoff_A * NM_PER_ANGSTROM)
        scale = 2 * alpha * NM_PER_ANGSTROM / (3 * tolerance**0.2)
        a, b, c = (max(LEAST_POINTS, math.ceil(scale * float(vectors_33[i, i]))) for i in range(3))
        return cls(alpha, (a, b, c))

    def set_in(self, system: openmm.System) -> None:
        """Contexts of the system that are made from now on have this mesh."""
        for force in system.getForces():
            if isinstance(force, openmm.NonbondedForce):
                force.setPMEParameters(self.alpha, *self.points)
