"""What labels from one self-consistent field share: PySCF, warm starts, gradients.

A field of a closed shell starts from a density mixed of the solved frames nearest to it, at
first from PySCF's superposition of atoms. Only the number of iterations depends on that; what a
warm start does not bring to convergence starts again cold. Open shells always start cold, since
they have more than one solution, and which one is found must not depend on the frames before.

Legend: `A` atoms, `b` basis functions, `m` filled orbitals.
"""

import importlib.metadata
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy.linalg

from forgefield.labelers.basis_sets import refuse_missing_elements
from forgefield.labelers.labeler import DEFAULT_MEMORY_BYTES, Computed, Labeler
from forgefield.labelers.programs import need
from forgefield.labelers.self_consistent import ScfRecord, converge, pyscf_molecule
from forgefield.labelers.threads import pyscf_threads
from forgefield.labelers.warm_start import Near, Neighbours, half_powers, mixture
from forgefield.storage.records import Array, Configuration, Method, Molecule
from forgefield.storage.units import EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR, EV_PER_HARTREE

if TYPE_CHECKING:
    from pyscf.gto import Mole
    from pyscf.scf.hf import SCF

ENERGY_HARTREE, GRADIENT_HARTREE = 1e-10, 1e-6
"""Tight enough for a correlated method to build on."""
MIXED_FRAMES, FARTHEST = 8, 0.3
"""Solved frames in a starting density, and the distance, Å, beyond which one is none."""


@dataclass(frozen=True, slots=True, eq=False)
class Orbitals:
    """Filled orbitals of a closed shell in orthogonalised atomic functions: S^1/2 C, (b, m)."""

    loewdin_bm: Array

    @property
    def nbytes(self) -> int:
        """Bytes of the array."""
        return int(self.loewdin_bm.nbytes)


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
        self._neighbours = Neighbours[Orbitals]()

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

    def threads_set(self, threads: int) -> AbstractContextManager[None]:
        """PySCF keeps a thread count of its own."""
        return pyscf_threads(threads)

    def field(self, molecule: "Mole") -> "SCF":
        """The field to solve, with exact integrals, restricted for singlets."""
        from pyscf import scf

        return scf.UHF(molecule) if molecule.spin else scf.RHF(molecule)

    def solve(self, field: "SCF", start_bb: Array | None) -> ScfRecord:
        """Bring it to convergence, from a density matrix if there is one."""
        return converge(field, ENERGY_HARTREE, GRADIENT_HARTREE, start_bb)

    def found(self, field: "SCF") -> Found:
        """Energy and gradient of the converged field."""
        gradient_A3 = None if self.energy_only else field.nuc_grad_method().kernel()
        return Found(float(field.e_tot), gradient_A3)

    def compute(self, configuration: Configuration, threads: int) -> Computed:  # noqa: ARG002
        """Energy and forces, eV and eV/Å."""
        molecule = pyscf_molecule(configuration, self.basis, self.memory_bytes)
        nearest = self._neighbours.nearest(configuration, MIXED_FRAMES)
        near = [frame for frame in nearest if frame.rmsd < FARTHEST]
        field = self.field(molecule)
        record = self.solve(field, starting_density(molecule, near) if near else None)
        if configuration.multiplicity == 1:
            self._neighbours.keep(configuration, solved_orbitals(field))
        energy_hartree, gradient_A3 = self.found(field)
        forces_A3 = None
        if gradient_A3 is not None:
            forces_A3 = -gradient_A3 * EV_PER_ANGSTROM_PER_HARTREE_PER_BOHR
        return Computed(energy_hartree * EV_PER_HARTREE, forces_A3, diagnostics_of(field, record))


def solved_orbitals(field: "SCF") -> Orbitals:
    """What is kept of a converged closed shell."""
    filled_bm = field.mo_coeff[:, field.mo_occ > 0]
    return Orbitals(half_powers(field.get_ovlp())[0] @ filled_bm)


def starting_density(molecule: "Mole", near: list[Near[Orbitals]]) -> Array:
    """Density matrix (b, b) of a closed shell, mixed of solved frames and made idempotent.

    In orthogonalised functions densities of different frames may be added; the eigenvectors of
    their sum that are filled most are the orbitals of the start.
    """
    weights_N = mixture(near, molecule.atom_coords(unit="Angstrom"))
    # PySCF's rotation matrix takes the transpose of the rotation that its docstring asks for.
    turned = [molecule.ao_rotation_matrix(n.rotation_33.T) @ n.solution.loewdin_bm for n in near]
    mixed_bb = sum(
        (w * orbitals_bm @ orbitals_bm.T for w, orbitals_bm in zip(weights_N, turned, strict=True)),
        start=np.zeros((molecule.nao, molecule.nao)),
    )
    filled = turned[0].shape[1]
    _, natural_bm = scipy.linalg.eigh(
        mixed_bb, subset_by_index=(molecule.nao - filled, molecule.nao - 1)
    )
    orbitals_bm = half_powers(molecule.intor_symmetric("int1e_ovlp"))[1] @ natural_bm
    density_bb: Array = 2 * orbitals_bm @ orbitals_bm.T
    return density_bb


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
