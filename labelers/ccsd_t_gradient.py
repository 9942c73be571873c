"""The CCSD(T) gradient by PySCF, its parts called in order with memory set for each.

Λ equations and densities must be those with the (T) terms. PySCF sizes its blocks of triples by
what `max_memory` leaves above what is in use, and large blocks are slow: they leave the cache
and make the kernel hand out pages (methanol: 9 s with blocks of 60 MB, 17 s with 4 GB to spare).
"""

from typing import TYPE_CHECKING, NamedTuple

from forgefield.storage.errors import NotConverged
from forgefield.storage.records import Array

if TYPE_CHECKING:
    from pyscf.cc.ccsd import CCSD, _ChemistsERIs

BLOCKS_MB = 60
"""What blocks of triples may take in all, the best of 20 to 4000 on methanol and ethanol."""
_PAIR_BLOCK_MB = 60 * 8e-6
"""Per v³: in the two-particle density, room for blocks of two occupied orbitals a side."""


class GradientParts(NamedTuple):
    """The (T) energy, hartree, and the gradient of the total energy (A, 3), hartree/bohr."""

    triples_hartree: float
    gradient_A3: Array


def ccsd_t_gradient(
    solver: "CCSD", integrals: "_ChemistsERIs", *, max_cycles: int, amplitudes: float
) -> GradientParts:
    """Gradient from converged CCSD amplitudes; raises `NotConverged` if Λ does not converge."""
    from pyscf import lib
    from pyscf.cc import ccsd_t, ccsd_t_lambda, ccsd_t_rdm
    from pyscf.grad import ccsd as ccsd_grad

    t1, t2, limit_mb = solver.t1, solver.t2, solver.max_memory
    triples = ccsd_t.kernel(solver, integrals, t1, t2, verbose=0)
    _limit(solver, BLOCKS_MB, limit_mb)
    done, l1, l2 = ccsd_t_lambda.kernel(
        solver, integrals, t1, t2, max_cycle=max_cycles, tol=amplitudes, verbose=0
    )
    if not done:
        raise NotConverged(
            f"the Λ equations did not converge in {max_cycles} iterations; drop this configuration"
        )
    _limit(solver, BLOCKS_MB, limit_mb)
    one = ccsd_t_rdm._gamma1_intermediates(solver, t1, t2, l1, l2, integrals, for_grad=True)  # noqa: SLF001
    with lib.H5TmpFile() as scratch:
        _limit(solver, BLOCKS_MB + _PAIR_BLOCK_MB * t1.shape[1] ** 3, limit_mb)
        two = ccsd_t_rdm._gamma2_outcore(solver, t1, t2, l1, l2, integrals, scratch, True)  # noqa: SLF001
        solver.max_memory = limit_mb
        forces = ccsd_grad.Gradients(solver)
        electronic_A3 = ccsd_grad.grad_elec(
            forces, t1, t2, l1, l2, integrals, d1=one, d2=two, verbose=0
        )
    return GradientParts(float(triples), electronic_A3 + forces.grad_nuc())


def _limit(solver: "CCSD", blocks_mb: float, limit_mb: float) -> None:
    """Let PySCF take `blocks_mb` more than is in use, never more than the limit."""
    from pyscf import lib

    solver.max_memory = min(limit_mb, lib.current_memory()[0] + blocks_mb)
