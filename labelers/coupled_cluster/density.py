"""The two-particle density of the correlation energy over atomic orbitals.

Γ is kept with the full symmetry of (μν|ρσ): a symmetric matrix over pairs μ ≥ ν, such that the
two-electron part of the Lagrangian is Σ Γ_μνρσ (μν|ρσ) over all four indices. Blocks with an
occupied index are transformed with that index left for last; the block of four virtual orbitals
is never formed over molecular orbitals, but from its factors λ and τ.

Legend: `i` (o) occupied, `q r s` (m) correlated, `μ ν ρ σ` (n) atomic orbitals.
"""

import torch
from torch import Tensor

from forgefield.labelers.coupled_cluster.lagrangian import Densities
from forgefield.labelers.coupled_cluster.pairs import numbering, triangle


def two_particle_density(densities: Densities, orbitals: Tensor) -> Tensor:
    """Γ [(μ≥ν), (ρ≥σ)]; `orbitals` (n, m), the occupied ones first."""
    o = densities.f_oo.shape[0]
    occupied, virtual = orbitals[:, :o], orbitals[:, o:]
    one_occupied = torch.stack(
        [_with_occupied(densities, i, orbitals) for i in range(o)]
    )  # [i, ν, (ρ≥σ)]
    gamma = _spread(one_occupied, occupied)
    gamma = gamma.add_(gamma.T.clone()).mul_(0.25)
    left = _to_atoms(densities.ladder_left, virtual)
    right = _to_atoms(densities.ladder_right, virtual)
    add_exchange_like(gamma, left, right, 1.0)
    return gamma


def _with_occupied(densities: Densities, i: int, orbitals: Tensor) -> Tensor:
    """[ν, (ρ≥σ)]: all blocks whose first index is the occupied orbital i, that index untouched."""
    o = densities.f_oo.shape[0]
    n, m = orbitals.shape
    x = orbitals.new_zeros(m, m, m)
    x[:o, :o, :o] = densities.oooo[i]
    x[:o, o:, o:] = densities.oovv[i]
    x[o:, :o, :o] = densities.ooov[:, :, i].permute(2, 0, 1)
    x[o:, :o, o:] = densities.ovov[i]
    x[o:, o:, o:] = densities.ovvv[i]
    half = (x.view(m * m, m) @ orbitals.T).view(m, m, n)
    atoms = orbitals @ half
    rows, columns = triangle(n, x.device)
    atoms = atoms + atoms.transpose(1, 2)
    return orbitals @ atoms[:, rows, columns].mul_(0.5)


def _spread(one_occupied: Tensor, occupied: Tensor) -> Tensor:
    """Γ'_μνρσ + Γ'_νμρσ over pairs, where Γ'_μνρσ = Σ_i C_μi [i, ν, ρσ]."""
    n = occupied.shape[0]
    number = numbering(n, occupied.device)
    rows = len(triangle(n, occupied.device)[0])
    result = occupied.new_zeros(rows, rows)
    for nu in range(n):
        part = occupied @ one_occupied[:, nu]
        part[nu] *= 2.0
        result[number[nu]] += part
    return result


def _to_atoms(doubles: Tensor, virtual: Tensor) -> Tensor:
    """[μ, ρ, (ij)] of [i, j, a, b]."""
    o, n = doubles.shape[0], virtual.shape[0]
    atoms = virtual @ doubles @ virtual.T
    return atoms.view(o * o, n * n).T.contiguous().view(n, n, o * o)


def add_exchange_like(gamma: Tensor, left: Tensor, right: Tensor, factor: float) -> None:
    """Add the symmetrised factor × Σ_k left[μ, ρ, k] right[ν, σ, k] to Γ, in place."""
    n, _, terms = left.shape
    number = numbering(n, gamma.device)
    rows, columns = triangle(n, gamma.device)
    for nu in range(n):
        part = (left.view(n * n, terms) @ right[nu].T).view(n, n, n)
        part = part[:, rows, columns] + part[:, columns, rows]
        part[nu] *= 2.0
        gamma[number[nu]] += part.mul_(0.25 * factor)


def add_coulomb_like(gamma: Tensor, left: Tensor, right: Tensor) -> None:
    """Add the symmetrised left[μ, ν] right[ρ, σ] to Γ, in place; both symmetric (n, n)."""
    rows, columns = triangle(left.shape[0], gamma.device)
    left, right = left[rows, columns], right[rows, columns]
    gamma.addr_(left, right, alpha=0.5)
    gamma.addr_(right, left, alpha=0.5)
