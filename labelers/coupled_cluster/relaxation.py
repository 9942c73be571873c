"""From densities of the Lagrangian to the gradient: orbital relaxation and its densities.

The orbitals obey Brillouin's condition f_ai = 0 and, with a frozen core, f_ci = 0 between core
and correlated orbitals. Their multipliers, elements of the relaxed one-particle density D, make
the energy stationary under rotations U of the orbitals,

    X_qp − X_pq = 0,   X = X₂ + 2 f D + 4 v(D)|_{p occupied},   v(D) = J(D) − K(D)/2,
    (X₂)_qp = 4 Σ_rst (qr|st) Γ_prst,

the Z-vector equation (Handy & Schaefer, J. Chem. Phys. 81, 5031 (1984); frozen core: Lee &
Rendell, ibid. 94, 6229 (1991)). Then dE/dR = Σ D h^R + Σ Γ (μν|ρσ)^R − ½ Σ X S^R.

Legend: `n` atomic and molecular orbitals, `A` atoms, `T` pairs; hartree, bohr.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, cg

from forgefield.labelers.coupled_cluster.density import (
    add_coulomb_like,
    add_exchange_like,
    two_particle_density,
)
from forgefield.labelers.coupled_cluster.derivatives import (
    one_electron_gradient,
    two_electron_gradient,
)
from forgefield.labelers.coupled_cluster.integrals import is_fitted
from forgefield.labelers.coupled_cluster.lagrangian import Densities
from forgefield.labelers.coupled_cluster.pairs import numbering
from forgefield.storage.errors import NotConverged
from forgefield.storage.records import Array

if TYPE_CHECKING:
    from pyscf.scf.hf import RHF


MAX_CYCLES = 60


@dataclass(frozen=True, slots=True, eq=False)
class Relaxed:
    """Gradient (A, 3), hartree/bohr, and how far X is from symmetric among correlated orbitals.

    Rotations within the occupied or the virtual orbitals change nothing, so that part of X must
    be symmetric by itself; `asymmetry` tells how well amplitudes and multipliers are converged.
    """

    gradient_A3: Array
    asymmetry: float


def relaxed_gradient(field: "RHF", core: int, densities: Densities, tolerance: float) -> Relaxed:
    """Gradient of E_HF + L, nuclear repulsion included; `core` orbitals are frozen."""
    orbitals, energies = field.mo_coeff, field.mo_energy
    o = int(np.count_nonzero(field.mo_occ > 0))
    device = densities.f_oo.device
    gamma = two_particle_density(densities, torch.from_numpy(orbitals[:, core:].copy()).to(device))
    x = orbital_derivative(field, gamma)
    density = np.zeros_like(orbitals)
    density[core:o, core:o] = densities.f_oo.cpu().numpy()
    density[o:, o:] = densities.f_vv.cpu().numpy()
    density = 0.5 * (density + density.T)
    if core:
        frozen = (x[:core, core:o] - x[core:o, :core].T) / 2.0
        frozen /= energies[core:o] - energies[:core, None]
        density[:core, core:o], density[core:o, :core] = frozen, frozen.T
    response = _z_vector(field, density, x, tolerance)
    density[o:, :o], density[:o, o:] = response, response.T
    return _assembled(field, core, gamma, density, x)


def orbital_derivative(field: "RHF", gamma: torch.Tensor) -> Array:
    """X₂ over molecular orbitals (n, n)."""
    pairs = _atomic_pairs(field, gamma.device)
    n = field.mol.nao
    number = numbering(n, gamma.device)
    weights = torch.full((len(gamma),), 2.0, dtype=gamma.dtype, device=gamma.device)
    weights[number.diagonal()] = 1.0
    total = gamma.new_zeros(n, n)
    for nu in range(n):
        total += (pairs[number[nu]] * weights) @ gamma[number[nu]].T
    half = field.mo_coeff.T @ total.cpu().numpy() @ field.get_ovlp() @ field.mo_coeff
    return np.asarray(4.0 * half)


def _atomic_pairs(field: "RHF", device: torch.device) -> torch.Tensor:
    """(μν|ρσ) over pairs (T, T), exact or fitted as the field's are."""
    from pyscf import ao2mo

    if is_fitted(field):
        factors = np.vstack(list(field.with_df.loop()))
        tensor = torch.from_numpy(factors).to(device)
        return tensor.T @ tensor
    return torch.from_numpy(ao2mo.restore(4, field._eri, field.mol.nao)).to(device)  # noqa: SLF001


def mean_field(field: "RHF", density: Array) -> Array:
    """J(D) − K(D)/2 for a symmetric density over atomic orbitals."""
    coulomb, exchange = field.get_jk(field.mol, density, hermi=1)
    return np.asarray(coulomb - 0.5 * exchange)


def _z_vector(field: "RHF", density: Array, x: Array, tolerance: float) -> Array:
    """D_ai from (ε_a − ε_i) D_ai + 2 v(D)_ai = −(X_ai − X_ia)/2."""
    orbitals, o = field.mo_coeff, int(np.count_nonzero(field.mo_occ > 0))
    occupied, virtual = orbitals[:, :o], orbitals[:, o:]
    gaps = field.mo_energy[o:, None] - field.mo_energy[:o]

    def coupled(vector: Array) -> Array:
        trial = vector.reshape(gaps.shape)
        atomic = virtual @ trial @ occupied.T
        back = virtual.T @ mean_field(field, atomic + atomic.T) @ occupied
        return np.asarray(gaps * trial + 2.0 * back).ravel()

    fixed = mean_field(field, orbitals @ density @ orbitals.T)
    right = -0.5 * (x[o:, :o] - x[:o, o:].T) - 2.0 * virtual.T @ fixed @ occupied
    size = gaps.size
    solution, unsolved = cg(
        LinearOperator((size, size), matvec=coupled, dtype=np.float64),
        right.ravel(),
        rtol=0.0,
        atol=tolerance,
        maxiter=MAX_CYCLES,
        M=LinearOperator((size, size), matvec=lambda r: r / gaps.ravel(), dtype=np.float64),
    )
    if unsolved:
        raise NotConverged(
            f"the Z-vector equations did not converge in {MAX_CYCLES} iterations; the field may "
            "not be the lowest one: drop this configuration"
        )
    return np.asarray(solution).reshape(gaps.shape)


def _assembled(field: "RHF", core: int, gamma: torch.Tensor, density: Array, x: Array) -> Relaxed:
    orbitals, energies = field.mo_coeff, field.mo_energy
    o = int(np.count_nonzero(field.mo_occ > 0))
    device = gamma.device
    hartree_fock = np.asarray(field.make_rdm1())
    correlation = orbitals @ density @ orbitals.T
    potential = orbitals.T @ mean_field(field, correlation) @ orbitals
    x = x + 2.0 * energies[:, None] * density
    x[:, :o] += 4.0 * potential[:, :o]
    asymmetry = _asymmetry(x[core:o, core:o], x[o:, o:])
    x[:, :o] += 4.0 * np.diag(energies)[:, :o]
    weighted = -0.25 * orbitals @ (x + x.T) @ orbitals.T
    left = torch.from_numpy(0.5 * hartree_fock + correlation).to(device)
    right = torch.from_numpy(hartree_fock).to(device)
    add_coulomb_like(gamma, left, right)
    add_exchange_like(gamma, left[..., None].contiguous(), right[..., None].contiguous(), -0.5)
    gradient_A3 = one_electron_gradient(field, hartree_fock + correlation, weighted)
    gradient_A3 += two_electron_gradient(field, gamma.cpu().numpy())
    return Relaxed(gradient_A3 + field.nuc_grad_method().grad_nuc(), asymmetry)


def _asymmetry(*blocks: Array) -> float:
    return max(float(np.abs(block - block.T).max()) for block in blocks)
