"""What labels from one self-consistent field share: PySCF, gradients.

Every field starts from PySCF's superposition of atoms, never from the frame before: closed shells
too have several solutions, and a start from a neighbour follows one of them for kcal/mol past the
point where another is lower (ethylene twisted step by step, hybrids and Hartree-Fock alike). The
iterations saved were few; a label must not depend on what was labelled before it.

Legend: `A` atoms.
"""

import importlib.metadata
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, NamedTuple

from forgefield.labelers.basis_sets import refuse_missing_elements
from forgefield.labelers.labeler import DEFAULT_MEMORY_BYTES, Computed, Labeler
from forgefield.labelers.programs import need
from forgefield.labelers.self_consistent import ScfRecord, converge, pyscf_molecule
from forgefield.labelers.threads import pyscf_threads
from forgefield.storage.records import Array, Configuration, Method, Molecule
from forgefield.storage.units import EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR, EV_PER_HARTREE

if TYPE_CHECKING:
    from pyscf.gto import Mole
    from pyscf.scf.hf import SCF

ENERGY_HARTREE, GRADIENT_HARTREE = 1e-10, 1e-6
"""Tight enough for a correlated method to build on."""


class Found(NamedTuple):
    """Total energy, hartree, and its gradient (A, 3), hartree/bohr, unless left out."""

    energy_hartree: float
    gradient_A3: Array | None


class MeanFieldLabeler(Labeler):
    """Hartree-Fock, unless a subclass gives another `field` or finds more than its energy."""

    program = "PySCF"

    def __init__(
        self,
        method: Method,
        basis: str,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        *,
        energy_only: bool = False,
    ) -> None:
        super().__init__(method, memory_bytes, energy_only=energy_only)
        self.basis = basis

    @property
    def version(self) -> str:
        """Version of PySCF."""
        return importlib.metadata.version("pyscf")

    def available(self) -> None:
        """Raise `MissingProgram` without PySCF."""
        need("pyscf", self.method.name)

    def check(self, molecule: Molecule) -> None:
        """Any charge and spin will do; every element needs functions in the basis."""
        super().check(molecule)
        refuse_missing_elements(molecule, self.basis)

    def threads_set(self, threads: int) -> AbstractContextManager[None]:
        """PySCF keeps a thread count of its own."""
        return pyscf_threads(threads)

    def field(self, molecule: "Mole") -> "SCF":
        """The field to solve, with exact integrals, restricted for singlets."""
        from pyscf import scf

        return scf.UHF(molecule) if molecule.spin else scf.RHF(molecule)

    def solve(self, field: "SCF") -> ScfRecord:
        """Bring it to convergence."""
        return converge(field, ENERGY_HARTREE, GRADIENT_HARTREE)

    def found(self, field: "SCF") -> Found:
        """Energy and gradient of the converged field."""
        gradient_A3 = None if self.energy_only else field.nuc_grad_method().kernel()
        return Found(float(field.e_tot), gradient_A3)

    def compute(self, configuration: Configuration, threads: int) -> Computed:  # noqa: ARG002
        """Energy and forces, eV and eV/Å."""
        molecule = pyscf_molecule(configuration, self.basis, self.memory_bytes)
        field = self.field(molecule)
        record = self.solve(field)
        energy_hartree, gradient_A3 = self.found(field)
        forces_A3 = None
        if gradient_A3 is not None:
            forces_A3 = -gradient_A3 * EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR
        return Computed(energy_hartree * EV_PER_HARTREE, forces_A3, diagnostics_of(field, record))


def diagnostics_of(field: "SCF", record: ScfRecord) -> dict[str, float]:
    """Gap, iterations, remedy, and for open shells ⟨S²⟩ less its exact value."""
    found: dict[str, float] = {
        "gap_eV": record.gap,
        "scf_iterations": record.iterations,
        "scf_remedy": record.remedy,
    }
    if field.mol.spin:
        exact = field.mol.spin / 2 * (field.mol.spin / 2 + 1)
        found["spin_contamination"] = float(field.spin_square()[0]) - exact
    return found
