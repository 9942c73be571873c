"""PySCF molecules and self-consistent fields, with remedies for those that won't converge.

Remedies are taken in this order and paid for by the same label: DIIS from a density at hand,
where there is one; DIIS from a guess; second-order SCF from where DIIS ended; a level shift with
damping, then DIIS from there without. After the last one the label is `NotConverged`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forgefield.labelers.basis_sets import core_potentials
from forgefield.storage.errors import BadConfiguration, NotConverged
from forgefield.storage.records import Array, Configuration
from forgefield.storage.units import ANGSTROM_PER_BOHR, EV_PER_HARTREE

if TYPE_CHECKING:
    from pyscf.gto import Mole
    from pyscf.scf.hf import SCF

MAX_CYCLES = 60
LEVEL_SHIFT_HARTREE = 0.3
DAMPING = 0.5
CORE_GAP_HARTREE = 0.2
"""Between frozen and correlated orbitals; carbon's is 10 hartree."""
LOWEST_GAP_EV = -1.0
"""Of a closed shell; below it second-order SCF has ended at an excited state, as it may."""


@dataclass(frozen=True, slots=True)
class ScfRecord:
    """Iterations over all remedies, the rank of the one that worked, and the gap (eV)."""

    iterations: int
    remedy: int
    gap: float


def pyscf_molecule(configuration: Configuration, basis: str, memory_bytes: int) -> "Mole":
    """PySCF molecule in bohr, silent, with the memory limit that its block sizes follow."""
    from pyscf import gto
    from pyscf.data.elements import ELEMENTS

    positions_bohr = configuration.positions_A3 / ANGSTROM_PER_BOHR
    return gto.M(
        atom=[
            (ELEMENTS[number], tuple(position))
            for number, position in zip(configuration.numbers, positions_bohr, strict=True)
        ],
        unit="Bohr",
        basis=basis,
        ecp=core_potentials(configuration.numbers, basis),
        charge=configuration.charge,
        spin=configuration.multiplicity - 1,
        max_memory=memory_bytes / 1e6,
        verbose=0,
    )


def converge(
    field: "SCF", energy_hartree: float, gradient_hartree: float, start: Array | None = None
) -> ScfRecord:
    """Bring a PySCF SCF object to convergence in place; see the remedies above.

    `start` is a density matrix to begin with; one that leads nowhere costs its iterations.
    """
    iterations = 0 if start is None else attempt(field, energy_hartree, gradient_hartree, start)
    if start is not None and field.converged:
        return ScfRecord(iterations, 0, frontier_gap(field))
    _set_thresholds(field, energy_hartree, gradient_hartree)
    for rank, remedy in enumerate((_plain, _second_order, _shifted)):
        iterations += remedy(field)
        if field.converged and (field.mol.spin or not frontier_gap(field) < LOWEST_GAP_EV):
            return ScfRecord(iterations, rank, frontier_gap(field))
    raise NotConverged(
        f"the SCF did not converge in {iterations} iterations of DIIS, second-order and "
        "level-shifted SCF, or only to an excited state; drop this configuration"
    )


def attempt(
    field: "SCF", energy_hartree: float, gradient_hartree: float, start: Array | None
) -> int:
    """DIIS alone, from a density matrix or from PySCF's guess: its iterations, converged or not."""
    _set_thresholds(field, energy_hartree, gradient_hartree)
    field.kernel(start)
    return int(field.cycles)


def _set_thresholds(field: "SCF", energy_hartree: float, gradient_hartree: float) -> None:
    _forget_checkpoint(field)
    field.max_cycle = MAX_CYCLES
    field.conv_tol, field.conv_tol_grad = energy_hartree, gradient_hartree


def _forget_checkpoint(field: "SCF") -> None:
    """Close and drop the temporary file that every PySCF SCF object opens."""
    scratch = getattr(field, "_chkfile", None)
    if scratch is not None:
        scratch.close()
    field.chkfile = field._chkfile = None  # noqa: SLF001


def _plain(field: "SCF") -> int:
    field.mo_coeff = field.mo_occ = None
    field.kernel()
    return int(field.cycles)


def _second_order(field: "SCF") -> int:
    solver = field.newton()
    solver.max_cycle = MAX_CYCLES
    solver.kernel(field.mo_coeff, field.mo_occ)
    for name in ("mo_coeff", "mo_energy", "mo_occ", "e_tot", "converged"):
        setattr(field, name, getattr(solver, name))
    return int(getattr(solver, "cycles", 0) or MAX_CYCLES)


def _shifted(field: "SCF") -> int:
    """The shift and the damping lead near the solution; the end is without them."""
    field.level_shift, field.damp = LEVEL_SHIFT_HARTREE, DAMPING
    field.kernel()
    before = int(field.cycles)
    field.level_shift, field.damp = 0.0, 0.0
    field.kernel(field.make_rdm1())
    return before + int(field.cycles)


def refuse_mixed_core(field: "SCF", core: int) -> None:
    """Raise `BadConfiguration` where the `core` lowest orbitals are not cores of their own.

    A frozen orbital that is near the next one in energy mixes with it, and which one is frozen
    would change along a path.
    """
    for energies in np.atleast_2d(field.mo_energy):
        if core and energies[core] - energies[core - 1] < CORE_GAP_HARTREE:
            raise BadConfiguration(
                f"no gap separates the {core} frozen orbitals ({energies[core - 1]:.2f} hartree) "
                f"from the next one ({energies[core]:.2f}); ask for ', all electrons'"
            )


def frontier_gap(field: "SCF") -> float:
    """Lowest empty minus highest filled orbital energy, over both spins; eV."""
    energies = np.ravel(field.mo_energy)
    filled = np.ravel(field.mo_occ) > 0
    if filled.all() or not filled.any():
        return float("nan")
    return float(energies[~filled].min() - energies[filled].max()) * EV_PER_HARTREE
