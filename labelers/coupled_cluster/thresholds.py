"""How tightly to converge for a stated noise of the forces.

The constants come from a scan: forces of distorted methanol, formaldehyde, ammonia and
malonaldehyde with each threshold in turn, against all of them at 1e-9
(`tests/benchmarks/labels/thresholds.py`); the shares add up to less than the noise.
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Thresholds:
    """SCF energy (hartree) and gradient, norms of amplitude updates and Z-vector residuals."""

    scf_energy: float
    scf_gradient: float
    amplitudes: float
    response: float
    triples: torch.dtype


def thresholds_for(noise: float) -> Thresholds:
    """Thresholds that keep convergence errors of forces below `noise`, kcal/mol/Å.

    At 1e-3 the largest errors seen were 2e-4 (SCF), 3e-4 (t and λ), 1.5e-4 (response) and 4e-6
    (triples in float32). Nothing is gained below 1e-6, where rounding begins.
    """
    return Thresholds(
        scf_energy=max(1e-12, min(1e-9, 1e-6 * noise)),
        scf_gradient=max(1e-9, 1e-3 * noise),
        amplitudes=max(1e-9, 6e-3 * noise),
        response=max(1e-9, 5e-4 * noise),
        triples=torch.float32 if noise >= 1e-4 else torch.float64,
    )
