"""CCSD(T) energies of open shells on a UHF reference, by PySCF. Forces there are none.

Radicals have more than one UHF solution; the one found from the superposition of atoms is taken,
and `spin_contamination`, ⟨S²⟩ of UHF less its exact value, tells how good a start that was.
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from forgefield.labelers.costs import open_shell_ccsd_t_estimate
from forgefield.labelers.labeler import ENERGY_ONLY, Computed, molecule_of, refuse_over
from forgefield.labelers.mean_field import diagnostics_of
from forgefield.labelers.self_consistent import converge, pyscf_molecule, refuse_mixed_core
from forgefield.storage.errors import InputError, NotConverged
from forgefield.storage.records import Configuration, Molecule
from forgefield.storage.units import EV_PER_HARTREE

if TYPE_CHECKING:
    from pyscf.cc.uccsd import UCCSD
    from pyscf.scf.uhf import UHF

SCF_ENERGY, SCF_GRADIENT = 1e-10, 1e-6
CC_ENERGY, AMPLITUDES = 1e-8, 1e-5
MAX_CYCLES = 100


def refuse_open_shell_forces(molecule: Molecule, method: str) -> None:
    """Raise `InputError`, naming the method without forces, for anything but a singlet."""
    if molecule.multiplicity != 1:
        raise InputError(
            f"{method} forces are for closed shells; {molecule.name} has multiplicity "
            f"{molecule.multiplicity}: ask for '{method}{ENERGY_ONLY}', or make a DFT method the "
            "target"
        )


def open_shell_energy(
    configuration: Configuration, basis: str, frozen_core: bool, memory_bytes: int
) -> Computed:
    """UCCSD(T) energy, eV, of any multiplicity.

    Raises `NeedsLargerMachine` before it is begun, `NotConverged` after a second try with damped
    amplitudes.
    """
    from pyscf import scf
    from pyscf.data.elements import chemcore

    molecule = molecule_of(configuration)
    estimate = open_shell_ccsd_t_estimate(molecule, basis, frozen_core=frozen_core, threads=1)
    refuse_over(f"UCCSD(T)/{basis}", configuration, estimate, memory_bytes)
    field = scf.UHF(pyscf_molecule(configuration, basis, memory_bytes))
    record = converge(field, SCF_ENERGY, SCF_GRADIENT)
    core = chemcore(field.mol) if frozen_core else 0
    refuse_mixed_core(field, core)
    solver, triples_hartree = _correlated(field, core)
    return Computed(
        energy=float(solver.e_tot + triples_hartree) * EV_PER_HARTREE,
        forces_A3=None,
        diagnostics={
            **diagnostics_of(field, record),
            "t1": _t1_diagnostic(solver),
            "cc_iterations": int(solver.cycles),
        },
    )


def _correlated(field: "UHF", core: int) -> tuple["UCCSD", float]:
    """Converged amplitudes and the (T) energy, hartree."""
    from pyscf import cc

    solver = cc.UCCSD(field, frozen=core)
    solver.conv_tol, solver.conv_tol_normt = CC_ENERGY, AMPLITUDES
    solver.max_cycle, solver.diis_space = MAX_CYCLES, 8
    integrals = solver.ao2mo()
    for damping in (1.0, 0.6):
        solver.iterative_damping = damping
        solver.kernel(solver.t1, solver.t2, eris=integrals)
        if solver.converged:
            return solver, float(solver.ccsd_t(eris=integrals))
    raise NotConverged(
        f"UCCSD did not converge in {2 * MAX_CYCLES} iterations; drop this configuration"
    )


def _t1_diagnostic(solver: "UCCSD") -> float:
    """Norm of the singles over √(2 electrons), which for a closed shell is the usual one."""
    squares = sum(float(np.vdot(t1, t1)) for t1 in solver.t1)
    return math.sqrt(squares / (2 * sum(solver.nocc)))
