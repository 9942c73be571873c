"""CCSD(T) energies and analytic forces of closed shells, by PySCF.

The gradient of CCSD(T) needs the Λ equations with the (T) terms in them, which
`pyscf.cc.ccsd_t_lambda` solves. `mycc.solve_lambda()` solves those of CCSD: a CCSD(T) gradient
built on them is wrong by 1.6e-3 a.u. without any complaint. Gradients on density-fitted
integrals are wrong too, so the integrals here are exact.

Frozen core or not changes the number, so it is part of the method's name.
"""

import importlib.metadata
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from forgefield.labelers.basis_sets import refuse_missing_elements
from forgefield.labelers.ccsd_t_gradient import ccsd_t_gradient
from forgefield.labelers.costs import ccsd_t_estimate, correlated_orbitals
from forgefield.labelers.labeler import DEFAULT_MEMORY_BYTES, Computed, Estimate, Labeler
from forgefield.labelers.programs import need
from forgefield.labelers.self_consistent import converge, pyscf_molecule
from forgefield.labelers.threads import pyscf_threads
from forgefield.storage.errors import InputError, NeedsLargerMachine, NotConverged
from forgefield.storage.records import Array, Configuration, Method, Molecule, Tier
from forgefield.storage.units import EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR, EV_PER_HARTREE

if TYPE_CHECKING:
    from pyscf.cc.ccsd import CCSD, _ChemistsERIs
    from pyscf.scf.hf import SCF

SCF_ENERGY, SCF_GRADIENT = 1e-10, 1e-6
CC_ENERGY, AMPLITUDES = 1e-8, 1e-5
"""Hartree and amplitude norms that leave at most 2e-4 kcal/mol/Å in a force."""
MAX_CYCLES = 100


class CcsdTLabeler(Labeler):
    """CCSD(T) in one basis, with the core frozen or all electrons correlated."""

    program = "PySCF"

    def __init__(
        self,
        basis: str,
        *,
        frozen_core: bool = True,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        energy_only: bool = False,
    ) -> None:
        suffix = "frozen core" if frozen_core else "all electrons"
        method = Method(Tier.CCSD, f"CCSD(T)/{basis}, {suffix}")
        super().__init__(method, memory_bytes, energy_only=energy_only)
        self.basis, self.frozen_core = basis, frozen_core

    @property
    def version(self) -> str:
        """Version of PySCF."""
        return importlib.metadata.version("pyscf")

    def available(self) -> None:
        """Raise `MissingProgram` without PySCF."""
        need("pyscf", self.method.name)

    def check(self, molecule: Molecule) -> None:
        """Closed shells with something to correlate, of elements that the basis has."""
        if molecule.multiplicity != 1:
            raise InputError(
                f"{self.method.name} forces are for closed shells; {molecule.name} has "
                f"multiplicity {molecule.multiplicity}: make a DFT method the target"
            )
        refuse_missing_elements(molecule, self.basis)
        occupied, virtual = correlated_orbitals(molecule, self.basis, frozen_core=self.frozen_core)
        if occupied < 1 or virtual < 1:
            raise InputError(
                f"{molecule.name} has {occupied} occupied and {virtual} empty orbitals to "
                f"correlate in {self.basis}; take a larger basis or all electrons"
            )

    def estimate(self, molecule: Molecule, threads: int = 1) -> Estimate:
        """See `costs.ccsd_t_estimate`."""
        return ccsd_t_estimate(molecule, self.basis, frozen_core=self.frozen_core, threads=threads)

    def threads_set(self, threads: int) -> AbstractContextManager[None]:
        """PySCF keeps a thread count of its own."""
        return pyscf_threads(threads)

    def compute(self, configuration: Configuration, threads: int) -> Computed:
        """Energy and forces, eV and eV/Å."""
        self._refuse_too_large(configuration, threads)
        from pyscf import scf

        field = scf.RHF(pyscf_molecule(configuration, self.basis, self.memory_bytes))
        record = converge(field, SCF_ENERGY, SCF_GRADIENT)
        solver, integrals = self._amplitudes(field)
        energy_hartree, forces_A3 = self._with_triples(solver, integrals)
        return Computed(
            energy=energy_hartree * EV_PER_HARTREE,
            forces_A3=forces_A3,
            diagnostics={
                "t1": float(solver.get_t1_diagnostic()),
                "gap_eV": record.gap,
                "scf_iterations": record.iterations,
                "scf_remedy": record.remedy,
                "cc_iterations": int(solver.cycles),
            },
        )

    def _with_triples(
        self, solver: "CCSD", integrals: "_ChemistsERIs"
    ) -> tuple[float, Array | None]:
        """Total energy, hartree, and forces, eV/Å, unless only the energy is wanted."""
        from pyscf.cc import ccsd_t

        if self.energy_only:
            return float(solver.e_tot + ccsd_t.kernel(solver, integrals, verbose=0)), None
        parts = ccsd_t_gradient(solver, integrals, max_cycles=MAX_CYCLES, amplitudes=AMPLITUDES)
        forces_A3 = -parts.gradient_A3 * EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR
        return float(solver.e_tot + parts.triples_hartree), forces_A3

    def _refuse_too_large(self, configuration: Configuration, threads: int) -> None:
        molecule = Molecule(
            configuration.molecule,
            configuration.numbers,
            configuration.positions_A3,
            configuration.charge,
            configuration.multiplicity,
        )
        need_bytes = self.estimate(molecule, threads).memory_bytes
        if need_bytes > self.memory_bytes:
            raise NeedsLargerMachine(
                f"{self.method.name} for {configuration.molecule} needs about "
                f"{need_bytes / 1e9:.1f} GB and may have {self.memory_bytes / 1e9:.1f} GB; raise "
                "the memory of a label or take a smaller basis"
            )

    def _amplitudes(self, field: "SCF") -> tuple["CCSD", "_ChemistsERIs"]:
        """Converged CCSD; the second try damps the amplitudes' updates."""
        from pyscf import cc
        from pyscf.data.elements import chemcore

        solver = cc.CCSD(field, frozen=chemcore(field.mol) if self.frozen_core else 0)
        solver.conv_tol, solver.conv_tol_normt = CC_ENERGY, AMPLITUDES
        solver.max_cycle, solver.diis_space = MAX_CYCLES, 8
        integrals = solver.ao2mo()
        for damping in (1.0, 0.6):
            solver.iterative_damping = damping
            solver.kernel(solver.t1, solver.t2, eris=integrals)
            if solver.converged:
                return solver, integrals
        raise NotConverged(
            f"CCSD did not converge in {2 * MAX_CYCLES} iterations (T1 diagnostic "
            f"{solver.get_t1_diagnostic():.3f}); drop this configuration"
        )
