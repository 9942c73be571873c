"""Second-order Møller-Plesset theory with exact integrals, on RHF or UHF (PySCF).

Forces are those of closed shells; open shells have energies alone. Frozen core or not changes
the number, so it is part of the method's name. Its tier is `dft`, for the reasons given in
`hartree_fock`: it corrects one field, and what it lacks is what coupled cluster is bought for.
"""

from typing import TYPE_CHECKING

from forgefield.labelers.costs import mp2_estimate, spin_orbitals
from forgefield.labelers.labeler import DEFAULT_MEMORY_BYTES, ENERGY_ONLY, Computed, Estimate
from forgefield.labelers.mean_field import Found, MeanFieldLabeler
from forgefield.storage.errors import InputError
from forgefield.storage.records import Configuration, Method, Molecule, Tier

if TYPE_CHECKING:
    from pyscf.scf.hf import SCF


class Mp2Labeler(MeanFieldLabeler):
    """MP2 in one basis, with the core frozen or all electrons correlated."""

    def __init__(
        self,
        basis: str,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        *,
        frozen_core: bool = True,
        energy_only: bool = False,
    ) -> None:
        suffix = "frozen core" if frozen_core else "all electrons"
        method = Method(Tier.DFT, f"MP2/{basis}, {suffix}")
        super().__init__(method, basis, memory_bytes, energy_only=energy_only)
        self.frozen_core = frozen_core

    def check(self, molecule: Molecule) -> None:
        """Something to correlate, and a closed shell where forces are wanted."""
        super().check(molecule)
        spin_orbitals(molecule, self.basis, frozen_core=self.frozen_core)
        if molecule.multiplicity != 1 and not self.energy_only:
            raise InputError(
                f"{self.method.name} forces are for closed shells; {molecule.name} has "
                f"multiplicity {molecule.multiplicity}: ask for "
                f"'{self.method.name}{ENERGY_ONLY}', or for forces by HF or a DFT method"
            )

    def estimate(self, molecule: Molecule, threads: int = 1) -> Estimate:
        """See `costs.mp2_estimate`."""
        return mp2_estimate(
            molecule,
            self.basis,
            frozen_core=self.frozen_core,
            threads=threads,
            forces=not self.energy_only,
        )

    def compute(self, configuration: Configuration, threads: int) -> Computed:
        """Energy and forces, eV and eV/Å."""
        self.refuse_too_large(configuration, threads)
        return super().compute(configuration, threads)

    def found(self, field: "SCF") -> Found:
        """The second-order energy on top of the field's, and the gradient of both."""
        from pyscf import mp
        from pyscf.data.elements import chemcore

        solver = mp.MP2(field, frozen=chemcore(field.mol) if self.frozen_core else 0)
        solver.kernel()
        gradient_A3 = None if self.energy_only else solver.nuc_grad_method().kernel()
        return Found(float(solver.e_tot), gradient_A3)
