"""Λ equations and densities of CCSD and CCSD(T), as derivatives of one Lagrangian.

L(t, λ, integrals) = E_CCSD + E(T) + Σ λ Ω(t). Stationarity by t gives the Λ equations, and the
derivatives by Fock matrices and integrals are the densities that gradients need (Helgaker,
Jørgensen & Olsen, section 13.5). Both come from the residuals by reverse-mode differentiation:
the equations are written once. The graph is made once and walked once an iteration.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from forgefield.labelers.coupled_cluster.blocks import Amplitudes, Blocks
from forgefield.labelers.coupled_cluster.iteration import Solution, iterate
from forgefield.labelers.coupled_cluster.residuals import correlation_energy, residuals, tau
from forgefield.labelers.coupled_cluster.triples import TripleDerivatives

Equations = Callable[[Amplitudes], Amplitudes]
SINGLE_PRECISION_ENDS = 3e-5
"""Norm of an update that rounding to single precision (some 1e-6 of it) doesn't disturb."""


@dataclass(frozen=True, slots=True, eq=False)
class Densities:
    """∂L/∂ each block, in the layout of `Blocks`; that by (ac|bd) is Σ_ij λ_ij^ab τ_ij^cd."""

    f_oo: Tensor
    f_vv: Tensor
    oooo: Tensor
    ooov: Tensor
    oovv: Tensor
    ovov: Tensor
    ovvv: Tensor
    ladder_left: Tensor
    ladder_right: Tensor


def solve_amplitudes(
    blocks: Blocks, start: Amplitudes, *, tolerance: float, most: int, damping: float = 1.0
) -> Solution:
    """CCSD amplitudes."""

    def equations(rounded: Blocks) -> Equations:
        return lambda t: residuals(rounded, t)

    with torch.no_grad():
        return _twice(equations, blocks, start, tolerance, most, damping)


def solve_multipliers(
    blocks: Blocks,
    t: Amplitudes,
    triples: TripleDerivatives | None,
    start: Amplitudes,
    *,
    tolerance: float,
    most: int,
) -> Solution:
    """λ of CCSD, or of CCSD(T) where the derivatives of E(T) are given."""

    def equations(rounded: Blocks) -> Equations:
        dtype = rounded.ovov.dtype
        return _stationarity(rounded, t.to(dtype), triples.to(dtype) if triples else None)

    return _twice(equations, blocks, start, tolerance, most)


def _twice(
    equations: Callable[[Blocks], Equations],
    blocks: Blocks,
    start: Amplitudes,
    tolerance: float,
    most: int,
    damping: float = 1.0,
) -> Solution:
    """Iterate in single precision as far as that carries, at half the cost, then in double."""
    spent = 0
    if tolerance < SINGLE_PRECISION_ENDS:
        rounded = blocks.to(torch.float32)
        rough = iterate(
            equations(rounded),
            start.to(torch.float32),
            rounded.gaps,
            tolerance=SINGLE_PRECISION_ENDS,
            most=most,
            damping=damping,
        )
        spent = rough.iterations
        start = rough.amplitudes.to(torch.float64) if rough.converged else start
    exact = iterate(
        equations(blocks), start, blocks.gaps, tolerance=tolerance, most=most, damping=damping
    )
    return Solution(exact.amplitudes, spent + exact.iterations, exact.converged)


def _stationarity(blocks: Blocks, t: Amplitudes, triples: TripleDerivatives | None) -> Equations:
    """∂L/∂t as a function of λ."""
    leaves = t.detached(requires_grad=True)
    omega = residuals(blocks, leaves)
    of_energy = torch.autograd.grad(correlation_energy(blocks, leaves), leaves)
    constant = Amplitudes(of_energy[0], _symmetric(of_energy[1]))
    if triples is not None:
        constant = Amplitudes(constant.one + triples.t1, constant.two + triples.t2)

    def residual(multipliers: Amplitudes) -> Amplitudes:
        one, two = torch.autograd.grad(omega, leaves, grad_outputs=multipliers, retain_graph=True)
        return Amplitudes(constant.one + one, constant.two + _symmetric(two))

    return residual


def densities(
    blocks: Blocks, t: Amplitudes, multipliers: Amplitudes, triples: TripleDerivatives | None
) -> Densities:
    """∂L/∂ integrals at the solution."""
    leaves = blocks.leaves()
    omega = residuals(leaves, t)
    lagrangian = correlation_energy(leaves, t)
    lagrangian = lagrangian + (omega.one * multipliers.one).sum()
    lagrangian = lagrangian + (omega.two * multipliers.two).sum()
    names = ("f_oo", "f_vv", "oooo", "ooov", "oovv", "ovov", "ovvv")
    found = torch.autograd.grad(lagrangian, [getattr(leaves, name) for name in names])
    by_name = dict(zip(names, found, strict=True))
    if triples is not None:
        for name in ("f_oo", "f_vv", "ooov", "ovov", "ovvv"):
            by_name[name] += getattr(triples, name)
    return Densities(**by_name, ladder_left=multipliers.two, ladder_right=tau(t))


def _symmetric(doubles: Tensor) -> Tensor:
    return 0.5 * (doubles + doubles.permute(1, 0, 3, 2))
