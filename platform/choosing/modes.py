"""Thermal displacements along the normal modes of the current model.

Around a minimum of the model, mass-weighted displacements are drawn from the classical harmonic
ensemble, q_k ~ N(0, kT/ω_k²). It costs one Hessian, needs no dynamics and can't run away, so it
serves where the model is still too young to be moved. Motion as a whole and rotation are
projected out (Eckart); modes softer than `SOFTEST_PER_CM`, unstable ones too, are taken to be that
stiff, or a torsion would be drawn far beyond where it is harmonic.

Legend: `A` atoms, `M` modes, `F` geometries, `X` = 3A coordinates. Å, eV, eV/Å, amu, fs, K.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import constants
from scipy.optimize import minimize

from forgefield.platform.choosing.walking import EV_PER_AMU_A2_PER_FS2, Forces
from forgefield.storage.records import Array
from forgefield.storage.units import EV_PER_KELVIN

SOFTEST_PER_CM = 100.0
STEP_A = 0.01
"""Displacement of the finite differences: float32 forces leave 1e-3 of a bond's stiffness."""
FLAT_EV_PER_A = 0.01
MOST_STEPS = 200
PER_FS_PER_CM: float = 2 * np.pi * constants.c * 100 * 1e-15

EnergiesAndForces = Callable[[Array], tuple[Array, Array]]


@dataclass(frozen=True, slots=True, eq=False)
class Modes:
    """A minimum (A, 3), frequencies (M,) in 1/fs, negative if unstable, and directions (M, A, 3).

    A row of `direction_MA3` is the Cartesian displacement of a unit of the mode, Å per √amu Å.
    """

    positions_A3: Array
    frequency_M: Array
    direction_MA3: Array

    @property
    def wavenumber_per_cm_M(self) -> Array:  # noqa: N802
        """Frequencies in 1/cm."""
        return self.frequency_M / PER_FS_PER_CM

    def draw(self, temperature_F: Array, random: np.random.Generator) -> Array:
        """Geometries (F, A, 3), each at its own temperature."""
        stiff_M = np.maximum(np.abs(self.frequency_M), SOFTEST_PER_CM * PER_FS_PER_CM)
        width_F1 = np.sqrt(EV_PER_KELVIN * temperature_F / EV_PER_AMU_A2_PER_FS2)[:, None]
        amount_FM = random.standard_normal((len(temperature_F), len(stiff_M))) * width_F1 / stiff_M
        moved_FA3 = np.einsum("fm,max->fax", amount_FM, self.direction_MA3)
        return np.asarray(self.positions_A3 + moved_FA3)


def relaxed(surface: EnergiesAndForces, start_A3: Array) -> Array:
    """A minimum near `start`, (A, 3), to `FLAT_EV_PER_A` or after `MOST_STEPS` steps."""

    def slope(x: Array) -> tuple[float, Array]:
        energy_1, forces_1A3 = surface(x.reshape(1, -1, 3))
        return float(energy_1[0]) - offset, -forces_1A3.ravel()

    offset = 0.0
    offset, _ = slope(start_A3.ravel())
    found = minimize(
        slope,
        start_A3.ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"gtol": FLAT_EV_PER_A, "maxiter": MOST_STEPS, "ftol": 0.0},
    )
    return np.asarray(found.x.reshape(-1, 3))


def normal_modes(forces: Forces, minimum_A3: Array, masses_A: Array) -> Modes:
    """Modes by central differences of the forces, 6A of them in one batch."""
    root_X = np.repeat(np.sqrt(masses_A), 3)
    hessian_XX = hessian(forces, minimum_A3) / EV_PER_AMU_A2_PER_FS2
    inner_XM = _inner_motion(minimum_A3, masses_A)
    square_M, turn_MM = np.linalg.eigh(
        inner_XM.T @ (hessian_XX / np.outer(root_X, root_X)) @ inner_XM
    )
    direction_MX = (inner_XM @ turn_MM).T / root_X
    frequency_M = np.sign(square_M) * np.sqrt(np.abs(square_M))
    return Modes(minimum_A3, frequency_M, direction_MX.reshape(-1, *minimum_A3.shape))


def hessian(forces: Forces, positions_A3: Array) -> Array:
    """Second derivatives of the energy, (X, X) eV/Å², symmetric."""
    size = positions_A3.size
    steps_XA3 = STEP_A * np.eye(size).reshape(size, *positions_A3.shape)
    forces_2XX = forces(np.concatenate([positions_A3 + steps_XA3, positions_A3 - steps_XA3]))
    ahead_XX, behind_XX = forces_2XX.reshape(2, size, size)
    slope_XX = (behind_XX - ahead_XX) / (2 * STEP_A)
    return np.asarray((slope_XX + slope_XX.T) / 2)


def _inner_motion(positions_A3: Array, masses_A: Array) -> Array:
    """An orthonormal basis (X, M) of mass-weighted motions that neither shift nor turn it."""
    root_A1 = np.sqrt(masses_A)[:, None]
    centred_A3 = positions_A3 - np.average(positions_A3, axis=0, weights=masses_A)
    shifts = [root_A1 * axis for axis in np.eye(3)]
    turns = [root_A1 * np.cross(axis, centred_A3) for axis in np.eye(3)]
    whole_6X = np.array([motion.ravel() for motion in [*shifts, *turns]])
    _, length_6, basis_XX = np.linalg.svd(whole_6X)
    outer = int((length_6 > 1e-6 * length_6[0]).sum())
    return np.asarray(basis_XX[outer:].T)
