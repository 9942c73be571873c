"""How far a label may be from its own method's, and what of its diagnostics is worth a look.

Limits are several times the largest noise seen (largest of 1 to 10 frames with 0.06 Å on each
coordinate; a cold start against a warm one, and forces against a four-point stencil):

                                        energy     force     slope      Σ F    Σ r×F
    MMFF94, UFF: aspirin                     0         0     1e-06    5e-13    1e-12
    GFN1-xTB, GFN2-xTB: aspirin              0         0     1e-04    3e-13    9e-05
    PBE, r2SCAN, PBE0-D3(BJ): methanol   3e-09     3e-04     2e-04    3e-11    3e-03
    PBE on grid 1: water, methanol       1e-09     8e-04     3e-04    4e-11    4e-01
    HF, MP2: methanol                    1e-06     2e-04     2e-04    7e-11    1e-04
    CCSD(T): water, methanol             5e-05     7e-04     4e-04    1e-11    4e-04
    CCSD(T): water at 1.9 Å              1e-03     1e-03     3e-05    1e-14    4e-06

The torque of DFT is its grid's, which doesn't turn with the molecule.
"""

from dataclasses import dataclass

from forgefield.storage.records import Tier


@dataclass(frozen=True, slots=True)
class Limits:
    """Most that is let pass, in kcal/mol and kcal/mol/Å; a `gap` below this many eV is tiny.

    `energy` and `force` (its largest component) are for the stored against the recomputed, `slope`
    for the stored forces along a random unit vector against energies, `residual_force` and
    `residual_torque` for the sums over the atoms of the stored forces.
    """

    energy: float
    force: float
    slope: float
    residual_force: float
    residual_torque: float
    gap: float


LIMITS = {
    Tier.EMPIRICAL: Limits(1e-4, 1e-3, 1e-3, 1e-4, 1e-3, 0.0),
    Tier.XTB: Limits(1e-4, 1e-3, 2e-3, 1e-3, 2e-3, 0.5),
    Tier.DFT: Limits(1e-4, 1e-2, 1e-2, 1e-3, 2.0, 0.5),
    Tier.CCSD: Limits(5e-3, 1e-2, 1e-2, 1e-3, 1e-2, 2.0),
}
LARGEST_T1 = 0.02
"""Above it one determinant may not do: T. J. Lee, P. R. Taylor, Int. J. Quantum Chem. Symp. 23,
199 (1989)."""
T1_SOURCE = "Lee & Taylor 1989"
AUDIT_NOISE = 1e-5
"""kcal/mol/Å; convergence of recomputed CCSD(T), whose energies are differentiated."""
STEP = 0.01
"""Å along the unit vector; the stencil errs by its fourth power."""
