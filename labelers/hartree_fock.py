"""Hartree-Fock with exact integrals: RHF for singlets, UHF otherwise (PySCF).

Its tier is `dft`, the rung of one self-consistent field: it costs what a hybrid functional
costs, stands above xTB and below coupled cluster, and a ladder has one method a rung.
"""

from forgefield.labelers.costs import hartree_fock_estimate
from forgefield.labelers.labeler import DEFAULT_MEMORY_BYTES, Estimate
from forgefield.labelers.mean_field import MeanFieldLabeler
from forgefield.storage.records import Method, Molecule, Tier


class HartreeFockLabeler(MeanFieldLabeler):
    """Hartree-Fock in one basis."""

    def __init__(
        self, basis: str, memory_bytes: int = DEFAULT_MEMORY_BYTES, *, energy_only: bool = False
    ) -> None:
        method = Method(Tier.DFT, f"HF/{basis}")
        super().__init__(method, basis, memory_bytes, energy_only=energy_only)

    def estimate(self, molecule: Molecule, threads: int = 1) -> Estimate:
        """See `costs.hartree_fock_estimate`."""
        return hartree_fock_estimate(
            molecule, self.basis, threads=threads, forces=not self.energy_only
        )
