"""Kohn-Sham DFT with density fitting: RKS for singlets, UKS otherwise (PySCF).

The grid level belongs to the name of the method unless it is `DEFAULT_GRID`. Forces leave out
the derivative of the grid's weights, as nearly all codes do, so they sum to zero only as far
as the grid is converged; `residual_force` tells.
"""

import importlib.metadata
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from forgefield.labelers.basis_sets import refuse_missing_elements
from forgefield.labelers.costs import dft_estimate
from forgefield.labelers.labeler import DEFAULT_MEMORY_BYTES, Computed, Estimate, Labeler
from forgefield.labelers.programs import need
from forgefield.labelers.self_consistent import converge, pyscf_molecule
from forgefield.labelers.threads import pyscf_threads
from forgefield.storage.records import Array, Configuration, Method, Molecule, Tier
from forgefield.storage.units import EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR, EV_PER_HARTREE

if TYPE_CHECKING:
    from pyscf.dft.rks import KohnShamDFT as KohnSham

DEFAULT_GRID = 3
ENERGY_HARTREE = 1e-9
GRADIENT_HARTREE = 1e-5


class DftLabeler(Labeler):
    """One functional in one basis on one grid."""

    program = "PySCF"

    def __init__(
        self,
        functional: str,
        basis: str,
        grid: int = DEFAULT_GRID,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        *,
        energy_only: bool = False,
    ) -> None:
        suffix = "" if grid == DEFAULT_GRID else f", grid {grid}"
        method = Method(Tier.DFT, f"{functional}/{basis}{suffix}")
        super().__init__(method, memory_bytes, energy_only=energy_only)
        self.functional, self.basis, self.grid = functional, basis, grid

    @property
    def version(self) -> str:
        """Version of PySCF."""
        return importlib.metadata.version("pyscf")

    def available(self) -> None:
        """Raise `MissingProgram` without PySCF."""
        need("pyscf", self.method.name)

    def check(self, molecule: Molecule) -> None:
        """Any charge and spin will do; every element needs functions in the basis."""
        refuse_missing_elements(molecule, self.basis)

    def estimate(self, molecule: Molecule, threads: int = 1) -> Estimate:
        """See `costs.dft_estimate`."""
        from pyscf.dft import libxc

        hybrid = bool(libxc.is_hybrid_xc(self.functional))
        return dft_estimate(molecule, self.basis, grid=self.grid, hybrid=hybrid, threads=threads)

    def threads_set(self, threads: int) -> AbstractContextManager[None]:
        """PySCF keeps a thread count of its own."""
        return pyscf_threads(threads)

    def compute(self, configuration: Configuration, threads: int) -> Computed:  # noqa: ARG002
        """Energy and forces, eV and eV/Å."""
        field = self._field(configuration)
        record = converge(field, ENERGY_HARTREE, GRADIENT_HARTREE)
        return Computed(
            energy=float(field.e_tot) * EV_PER_HARTREE,
            forces_A3=None if self.energy_only else self._forces(field),
            diagnostics={
                "gap_eV": record.gap,
                "scf_iterations": record.iterations,
                "scf_remedy": record.remedy,
            },
        )

    def _forces(self, field: "KohnSham") -> Array:
        gradient_A3: Array = field.nuc_grad_method().kernel()
        return -gradient_A3 * EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR

    def _field(self, configuration: Configuration) -> "KohnSham":
        from pyscf import dft

        molecule = pyscf_molecule(configuration, self.basis, self.memory_bytes)
        kind = dft.RKS if configuration.multiplicity == 1 else dft.UKS
        field = kind(molecule, xc=self.functional).density_fit()
        field.grids.level = self.grid
        return field
