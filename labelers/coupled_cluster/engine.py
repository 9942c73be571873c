"""CCSD and CCSD(T) of a converged closed-shell field, step by step.

    field → integrals → t → (T) and its derivatives → λ → densities → relaxed gradient

Everything is held in memory; what one step alone needs is let go after it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from forgefield.labelers.coupled_cluster.blocks import Amplitudes, Blocks, mp2_amplitudes
from forgefield.labelers.coupled_cluster.integrals import blocks_of
from forgefield.labelers.coupled_cluster.iteration import Solution
from forgefield.labelers.coupled_cluster.lagrangian import (
    densities,
    solve_amplitudes,
    solve_multipliers,
)
from forgefield.labelers.coupled_cluster.relaxation import relaxed_gradient
from forgefield.labelers.coupled_cluster.residuals import correlation_energy
from forgefield.labelers.coupled_cluster.thresholds import Thresholds
from forgefield.labelers.coupled_cluster.triples import (
    TripleDerivatives,
    TripleInputs,
    triples_derivatives,
    triples_energy,
)
from forgefield.storage.errors import NotConverged
from forgefield.storage.records import Array

if TYPE_CHECKING:
    from pyscf.scf.hf import RHF

    from forgefield.labelers.coupled_cluster.transport import Guess

MAX_ITERATIONS = 100
DAMPING = 0.6
"""Of the second try, where the first one did not converge."""
CPU = torch.device("cpu")


def best_device(needed_bytes: int) -> torch.device:
    """A GPU where this process has one with so much memory free, else the processor."""
    if torch.cuda.is_available() and torch.cuda.mem_get_info()[0] >= needed_bytes:
        return torch.device("cuda")
    return CPU


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to compute: with or without (T) and the gradient; `core` orbitals stay frozen."""

    core: int
    triples: bool = True
    gradient: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class CoupledCluster:
    """Energies, hartree; gradient of the total energy (A, 3), hartree/bohr; and their quality.

    `t1_diagnostic` = |t1|/√N over N correlated electrons (Lee & Taylor, Int. J. Quantum Chem.
    S23, 199 (1989)). `asymmetry`: see `relaxation.Relaxed`.
    """

    ccsd_hartree: float
    triples_hartree: float
    gradient_A3: Array | None
    amplitudes: Amplitudes
    multipliers: Amplitudes | None
    mp2: Amplitudes
    t_iterations: int
    multiplier_iterations: int
    t1_diagnostic: float
    asymmetry: float
    on_gpu: bool


def coupled_cluster(
    field: "RHF",
    wanted: Wanted,
    thresholds: Thresholds,
    *,
    guess: "Guess | None" = None,
    device: torch.device = CPU,
) -> CoupledCluster:
    """Correlation energy and gradient; raises `NotConverged`."""
    blocks = blocks_of(field, wanted.core, device)
    mp2 = mp2_amplitudes(blocks)
    t, t_iterations = _amplitudes(blocks, guess.amplitudes(mp2) if guess else mp2, mp2, thresholds)
    energy = float(correlation_energy(blocks, t))
    diagnostic = float(t.one.norm()) / (2 * len(t.one)) ** 0.5
    if not wanted.gradient:
        triples_hartree = triples_energy(_inputs(blocks, t, thresholds)) if wanted.triples else 0.0
        return CoupledCluster(
            ccsd_hartree=energy,
            triples_hartree=triples_hartree,
            gradient_A3=None,
            amplitudes=t,
            multipliers=None,
            mp2=mp2,
            t_iterations=t_iterations,
            multiplier_iterations=0,
            t1_diagnostic=diagnostic,
            asymmetry=0.0,
            on_gpu=device != CPU,
        )
    triples = _triples(blocks, t, thresholds) if wanted.triples else None
    solved = _multipliers(blocks, t, triples, guess.multipliers(t) if guess else t, thresholds)
    densities_ = densities(blocks, t, solved.amplitudes, triples)
    triples_hartree = triples.energy if triples else 0.0
    del blocks, triples
    relaxed = relaxed_gradient(field, wanted.core, densities_, thresholds.response)
    return CoupledCluster(
        ccsd_hartree=energy,
        triples_hartree=triples_hartree,
        gradient_A3=relaxed.gradient_A3,
        amplitudes=t,
        multipliers=solved.amplitudes,
        mp2=mp2,
        t_iterations=t_iterations,
        multiplier_iterations=solved.iterations,
        t1_diagnostic=diagnostic,
        asymmetry=relaxed.asymmetry,
        on_gpu=device != CPU,
    )


def _amplitudes(
    blocks: Blocks, start: Amplitudes, cold: Amplitudes, thresholds: Thresholds
) -> tuple[Amplitudes, int]:
    """Converged CCSD amplitudes and all iterations; the second try is cold and damped."""
    spent = 0
    for first, damping in ((start, 1.0), (cold, DAMPING)):
        solved = solve_amplitudes(
            blocks, first, tolerance=thresholds.amplitudes, most=MAX_ITERATIONS, damping=damping
        )
        spent += solved.iterations
        if solved.converged:
            return solved.amplitudes, spent
    raise NotConverged(
        f"CCSD did not converge in {spent} iterations, the second try damped; "
        "drop this configuration"
    )


def _multipliers(
    blocks: Blocks,
    t: Amplitudes,
    triples: TripleDerivatives | None,
    start: Amplitudes,
    thresholds: Thresholds,
) -> Solution:
    """Converged λ; the second try starts from t."""
    spent = 0
    for first in (start, t):
        solved = solve_multipliers(
            blocks, t, triples, first, tolerance=thresholds.amplitudes, most=MAX_ITERATIONS
        )
        spent += solved.iterations
        if solved.converged:
            return Solution(solved.amplitudes, spent, converged=True)
    raise NotConverged(
        f"the Λ equations did not converge in {spent} iterations; drop this configuration"
    )


def _inputs(blocks: Blocks, t: Amplitudes, thresholds: Thresholds) -> TripleInputs:
    whole = TripleInputs(
        t.one, t.two, blocks.ovvv, blocks.ooov, blocks.ovov, blocks.e_o, blocks.e_v
    )
    return whole.to(thresholds.triples)


def _triples(blocks: Blocks, t: Amplitudes, thresholds: Thresholds) -> TripleDerivatives:
    return triples_derivatives(_inputs(blocks, t, thresholds)).to(t.two.dtype)
