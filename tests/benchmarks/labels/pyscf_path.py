"""The CCSD(T) gradient as PySCF computes it: the reference for numbers and for speed.

Λ equations and densities must be those with the (T) terms: `solver.solve_lambda()` solves those
of CCSD. PySCF sizes its blocks of triples by what `max_memory` leaves above what is in use.
"""

from typing import Any, NamedTuple

import numpy as np

BLOCKS_MB = 60
"""What blocks of triples may take in all, the best of 20 to 4000 on methanol and ethanol."""
_PAIR_BLOCK_MB = 60 * 8e-6
"""Per v³: in the two-particle density, room for blocks of two occupied orbitals a side."""


class PyscfGradient(NamedTuple):
    """Total energy, hartree, and its gradient (A, 3), hartree/bohr."""

    energy_hartree: float
    gradient_A3: np.ndarray


def pyscf_gradient(
    field: Any, core: int, tolerance: float = 1e-5, *, small_blocks: bool = True
) -> PyscfGradient:
    """CCSD(T) energy and gradient on a converged RHF object.

    Without `small_blocks` PySCF takes the blocks of its own choice, as it does for a user.
    """
    from pyscf import cc, lib
    from pyscf.cc import ccsd_t, ccsd_t_lambda, ccsd_t_rdm
    from pyscf.grad import ccsd as ccsd_grad

    solver = cc.CCSD(field, frozen=core)
    solver.conv_tol, solver.conv_tol_normt, solver.max_cycle = tolerance * 1e-3, tolerance, 100
    integrals = solver.ao2mo()
    solver.kernel(eris=integrals)
    t1, t2, limit_mb = solver.t1, solver.t2, solver.max_memory
    triples = ccsd_t.kernel(solver, integrals, t1, t2, verbose=0)
    if small_blocks:
        _limit(solver, BLOCKS_MB, limit_mb)
    done, l1, l2 = ccsd_t_lambda.kernel(
        solver, integrals, t1, t2, max_cycle=100, tol=tolerance, verbose=0
    )
    if not (solver.converged and done):
        raise RuntimeError("PySCF's amplitudes did not converge")
    one = ccsd_t_rdm._gamma1_intermediates(solver, t1, t2, l1, l2, integrals, for_grad=True)
    with lib.H5TmpFile() as scratch:
        if small_blocks:
            _limit(solver, BLOCKS_MB + _PAIR_BLOCK_MB * t1.shape[1] ** 3, limit_mb)
        two = ccsd_t_rdm._gamma2_outcore(solver, t1, t2, l1, l2, integrals, scratch, True)
        solver.max_memory = limit_mb
        forces = ccsd_grad.Gradients(solver)
        electronic_A3 = ccsd_grad.grad_elec(
            forces, t1, t2, l1, l2, integrals, d1=one, d2=two, verbose=0
        )
    return PyscfGradient(float(solver.e_tot + triples), electronic_A3 + forces.grad_nuc())


def _limit(solver: Any, blocks_mb: float, limit_mb: float) -> None:
    """Let PySCF take `blocks_mb` more than is in use, never more than the limit."""
    from pyscf import lib

    solver.max_memory = min(limit_mb, lib.current_memory()[0] + blocks_mb)
