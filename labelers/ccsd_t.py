"""CCSD and CCSD(T): energies and analytic forces of closed shells, energies of open ones.

Closed shells go to our own engine, `coupled_cluster`, on PySCF's integrals; open ones to PySCF.

Exact integrals unless the name begins with DF, which means density-fitted ones throughout, from
the self-consistent field to the derivative integrals: its own method, and another number. Frozen
core or not changes the number too. Labels with forces start from the amplitudes of frames like
them, where the occupied orbitals are alike too; the field itself always starts anew.
"""

import importlib.metadata
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import numpy as np

from forgefield.labelers.basis_sets import refuse_unfitted
from forgefield.labelers.costs import correlated_orbitals, coupled_cluster_estimate, spin_orbitals
from forgefield.labelers.labeler import (
    DEFAULT_MEMORY_BYTES,
    Computed,
    Estimate,
    molecule_of,
)
from forgefield.labelers.mean_field import MeanFieldLabeler, diagnostics_of
from forgefield.labelers.open_shell_ccsd_t import open_shell_energy, refuse_open_shell_forces
from forgefield.labelers.programs import need
from forgefield.labelers.self_consistent import (
    ScfRecord,
    converge,
    pyscf_molecule,
    refuse_mixed_core,
)
from forgefield.labelers.threads import pyscf_and_torch_threads
from forgefield.labelers.warm_start import Neighbours, half_powers, mixture
from forgefield.storage.errors import InputError
from forgefield.storage.records import Array, Configuration, Method, Molecule, Tier
from forgefield.storage.units import EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR, EV_PER_HARTREE

if TYPE_CHECKING:
    from pyscf.gto import Mole
    from pyscf.scf.hf import RHF, SCF

    from forgefield.labelers.coupled_cluster.engine import CoupledCluster
    from forgefield.labelers.coupled_cluster.transport import Guess, Solved

DEFAULT_NOISE = 1e-3
"""kcal/mol/Å, the most that convergence may leave in a force component."""
MIXED_FRAMES, FARTHEST = 8, 0.2
"""Solved frames in a guess, and Å rms: frames farther away save no iteration."""
SHARE_FOR_STARTS = 0.1
"""Of a label's memory, for solutions of earlier frames."""


class CcsdTLabeler(MeanFieldLabeler):
    """CCSD(T), or CCSD without `triples`, in one basis."""

    program = "Forgefield"

    def __init__(
        self,
        basis: str,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        *,
        frozen_core: bool = True,
        energy_only: bool = False,
        triples: bool = True,
        fitted: bool = False,
        noise: float = DEFAULT_NOISE,
    ) -> None:
        theory = ("DF-" if fitted else "") + ("CCSD(T)" if triples else "CCSD")
        suffix = "frozen core" if frozen_core else "all electrons"
        method = Method(Tier.CCSD, f"{theory}/{basis}, {suffix}")
        super().__init__(method, basis, memory_bytes, energy_only=energy_only)
        self.frozen_core, self.triples, self.fitted = frozen_core, triples, fitted
        self.noise = noise
        self._solved: Neighbours[Solved] = Neighbours(
            most_bytes=int(SHARE_FOR_STARTS * memory_bytes)
        )

    @property
    def version(self) -> str:
        """Ours and PySCF's."""
        return f"{importlib.metadata.version('forgefield')} with PySCF {super().version}"

    def available(self) -> None:
        """Raise `MissingProgram` without PySCF, torch or Numba."""
        for program in ("pyscf", "torch", "numba"):
            need(program, self.method.name)

    def check(self, molecule: Molecule) -> None:
        """Closed shells, or energies alone, with something to correlate in a known basis."""
        super().check(molecule)
        if molecule.multiplicity != 1:
            self._check_open_shell(molecule)
            return
        if self.fitted:
            refuse_unfitted(molecule, self.basis)
        occupied, virtual = correlated_orbitals(molecule, self.basis, frozen_core=self.frozen_core)
        if occupied < 1 or virtual < 1:
            raise InputError(
                f"{molecule.name} has {occupied} occupied and {virtual} empty orbitals to "
                f"correlate in {self.basis}; take a larger basis or all electrons"
            )

    def _check_open_shell(self, molecule: Molecule) -> None:
        if not self.energy_only:
            refuse_open_shell_forces(molecule, self.method.name)
        spin_orbitals(molecule, self.basis, frozen_core=self.frozen_core)
        if self.fitted or not self.triples:
            raise InputError(
                f"{self.method.name} is for closed shells; {molecule.name} has multiplicity "
                f"{molecule.multiplicity}: ask for the energy-only form of CCSD(T)/{self.basis}"
            )

    def estimate(self, molecule: Molecule, threads: int = 1) -> Estimate:
        """See `costs.coupled_cluster_estimate`."""
        return coupled_cluster_estimate(
            molecule,
            self.basis,
            frozen_core=self.frozen_core,
            triples=self.triples,
            forces=not self.energy_only,
            threads=threads,
        )

    def threads_set(self, threads: int) -> AbstractContextManager[None]:
        """PySCF and torch keep thread counts of their own."""
        return pyscf_and_torch_threads(threads)

    def field(self, molecule: "Mole") -> "SCF":
        """The closed-shell field, with exact or fitted integrals."""
        from pyscf import scf

        field = scf.RHF(molecule)
        return field.density_fit() if self.fitted else field

    def compute(self, configuration: Configuration, threads: int) -> Computed:
        """Energy and forces, eV and eV/Å."""
        if configuration.multiplicity != 1:
            return open_shell_energy(configuration, self.basis, self.frozen_core, self.memory_bytes)
        self.refuse_too_large(configuration, threads)
        field, record = self._converged(configuration)
        found = self._correlated(configuration, field)
        energy_hartree = field.e_tot + found.ccsd_hartree + found.triples_hartree
        forces_A3 = None
        if found.gradient_A3 is not None:
            forces_A3 = -found.gradient_A3 * EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR
        diagnostics = diagnostics_of(field, record) | {
            "t1": found.t1_diagnostic,
            "cc_iterations": found.t_iterations,
            "lambda_iterations": found.multiplier_iterations,
            "orbital_asymmetry": found.asymmetry,
            "on_gpu": float(found.on_gpu),
        }
        return Computed(float(energy_hartree) * EV_PER_HARTREE, forces_A3, diagnostics)

    def _converged(self, configuration: Configuration) -> tuple["RHF", ScfRecord]:
        from forgefield.labelers.coupled_cluster.thresholds import thresholds_for

        limits = thresholds_for(self.noise)
        molecule = pyscf_molecule(configuration, self.basis, self.memory_bytes)
        molecule.incore_anyway = True  # `refuse_too_large` has weighed it; PySCF counts the process
        field = self.field(molecule)
        record = converge(field, limits.scf_energy, limits.scf_gradient)
        return field, record

    def _correlated(self, configuration: Configuration, field: "RHF") -> "CoupledCluster":
        from pyscf.data.elements import chemcore

        from forgefield.labelers.coupled_cluster.engine import (
            Wanted,
            best_device,
            coupled_cluster,
        )
        from forgefield.labelers.coupled_cluster.thresholds import thresholds_for
        from forgefield.labelers.coupled_cluster.transport import solved

        core = int(chemcore(field.mol)) if self.frozen_core else 0
        refuse_mixed_core(field, core)
        loewdin_bm = half_powers(field.get_ovlp())[0] @ field.mo_coeff[:, core:]
        try:
            found = coupled_cluster(
                field,
                Wanted(core, triples=self.triples, gradient=not self.energy_only),
                thresholds_for(self.noise),
                guess=self._guess(configuration, field, loewdin_bm),
                device=best_device(self.estimate(molecule_of(configuration)).memory_bytes),
            )
        except RuntimeError as error:
            if "memory" in str(error):  # torch's own complaint, on a processor or a GPU
                raise MemoryError from error
            raise
        if found.multipliers is not None:
            kept = solved(loewdin_bm, found.mp2, found.amplitudes, found.multipliers)
            self._solved.keep(configuration, kept)
        return found

    def _guess(
        self, configuration: Configuration, field: "RHF", loewdin_bm: Array
    ) -> "Guess | None":
        from forgefield.labelers.coupled_cluster.transport import guess_from

        nearest = self._solved.nearest(configuration, MIXED_FRAMES)
        near = [each for each in nearest if each.rmsd < FARTHEST]
        if not near:
            return None
        weights_N = mixture(near, np.asarray(configuration.positions_A3))
        # PySCF's rotation matrix takes the transpose of the rotation that its docstring asks for.
        turned = [
            each.solution.turned(field.mol.ao_rotation_matrix(each.rotation_33.T)) for each in near
        ]
        return guess_from(turned, weights_N, loewdin_bm)
