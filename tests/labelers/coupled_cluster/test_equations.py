"""CCSD residuals, Λ equations and densities against PySCF, and against each other."""

from typing import Any

import pytest
import torch

from forgefield.labelers.coupled_cluster.blocks import Amplitudes, Blocks, mp2_amplitudes
from forgefield.labelers.coupled_cluster.integrals import blocks_of
from forgefield.labelers.coupled_cluster.ladder import packed, particle_ladder
from forgefield.labelers.coupled_cluster.lagrangian import (
    densities,
    solve_amplitudes,
    solve_multipliers,
)
from forgefield.labelers.coupled_cluster.residuals import correlation_energy, residuals

CPU = torch.device("cpu")
TIGHT = 1e-10


@pytest.fixture(scope="module")
def water(field: Any) -> Any:
    return field("water", "6-31g")


@pytest.fixture(scope="module")
def blocks(water: Any) -> Blocks:
    return blocks_of(water, 1, CPU)


@pytest.fixture(scope="module")
def amplitudes(blocks: Blocks) -> Amplitudes:
    solved = solve_amplitudes(blocks, mp2_amplitudes(blocks), tolerance=TIGHT, most=60)
    assert solved.converged
    return solved.amplitudes


def test_amplitudes_and_energy_are_pyscfs(
    water: Any, blocks: Blocks, amplitudes: Amplitudes
) -> None:
    from pyscf import cc

    solver = cc.CCSD(water, frozen=1)
    solver.conv_tol, solver.conv_tol_normt = 1e-13, 1e-10
    solver.kernel()
    torch.testing.assert_close(amplitudes.one, torch.from_numpy(solver.t1), rtol=0, atol=1e-9)
    torch.testing.assert_close(amplitudes.two, torch.from_numpy(solver.t2), rtol=0, atol=1e-9)
    energy = correlation_energy(blocks, amplitudes).item()
    assert energy == pytest.approx(solver.e_corr, abs=1e-10)


def test_multipliers_are_pyscfs(water: Any, blocks: Blocks, amplitudes: Amplitudes) -> None:
    """PySCF's l1 is λ/2 and its l2 (2λ + λ with a and b exchanged)/3 of the λ here."""
    from pyscf import cc

    solver = cc.CCSD(water, frozen=1)
    solver.conv_tol, solver.conv_tol_normt = 1e-13, 1e-10
    solver.kernel()
    l1, l2 = (torch.from_numpy(x) for x in solver.solve_lambda()[:2])
    found = solve_multipliers(blocks, amplitudes, None, amplitudes, tolerance=TIGHT, most=60)
    assert found.converged
    one, two = found.amplitudes
    torch.testing.assert_close(one / 2, l1, rtol=0, atol=1e-7)
    torch.testing.assert_close((2 * two + two.transpose(2, 3)) / 3, l2, rtol=0, atol=1e-7)


def test_densities_give_the_energy_back(blocks: Blocks, amplitudes: Amplitudes) -> None:
    """L is linear in the integrals, so Σ integral × ∂L/∂integral is L, which is the energy."""
    found = solve_multipliers(blocks, amplitudes, None, amplitudes, tolerance=TIGHT, most=60)
    density = densities(blocks, amplitudes, found.amplitudes, None)
    names = ("f_oo", "f_vv", "oooo", "ooov", "oovv", "ovov", "ovvv")
    traced = sum((getattr(density, name) * getattr(blocks, name)).sum() for name in names)
    ladder = particle_ladder(density.ladder_right, blocks.vvvv)
    traced = traced + (density.ladder_left * ladder).sum()
    energy = correlation_energy(blocks, amplitudes).item()
    assert traced.item() == pytest.approx(energy, abs=1e-11)


def test_ladder_is_the_plain_contraction_and_its_own_adjoint() -> None:
    o, v = 3, 6
    torch.manual_seed(0)
    pairs = v * (v + 1) // 2
    random = torch.randn(pairs, pairs, dtype=torch.float64)
    random = random + random.T
    rows, columns = torch.tril_indices(v, v)
    whole = torch.empty(v, v, v, v, dtype=torch.float64)
    for p, q in ((rows, columns), (columns, rows)):
        for r, s in ((rows, columns), (columns, rows)):
            whole[p[:, None], q[:, None], r, s] = random
    x, y = torch.randn(2, o, o, v, v, dtype=torch.float64)
    x, y = x + x.permute(1, 0, 3, 2), y + y.permute(1, 0, 3, 2)
    ladder = packed(random, v)
    assert ladder.virtual == v
    expected = torch.einsum("acbd,ijcd->ijab", whole, x)
    torch.testing.assert_close(particle_ladder(x, ladder), expected, rtol=0, atol=1e-12)
    x.requires_grad_()
    (adjoint,) = torch.autograd.grad(particle_ladder(x, ladder), x, y)
    expected = torch.einsum("acbd,ijab->ijcd", whole, y)
    torch.testing.assert_close(adjoint, expected, rtol=0, atol=1e-12)


def test_residuals_notice_a_wrong_amplitude(blocks: Blocks, amplitudes: Amplitudes) -> None:
    at_solution = residuals(blocks, amplitudes)
    assert at_solution.one.abs().max() < 1e-9
    assert at_solution.two.abs().max() < 1e-9
    wrong = Amplitudes(amplitudes.one + 1e-3, amplitudes.two)
    assert residuals(blocks, wrong).one.abs().max() > 1e-3
