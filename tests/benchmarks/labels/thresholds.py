"""Errors of forces that each convergence threshold leaves, one at a time.

    .venv/bin/python tests/benchmarks/labels/thresholds.py

Largest difference of a force component, kcal/mol/Å, to all thresholds at 1e-9 and triples in
double precision: distorted molecules, and ammonia as it is. These figures are what
`labelers/coupled_cluster/thresholds.py` is made from. A quarter of an hour on one core.
"""

from dataclasses import replace

import numpy as np
import torch
from pyscf import scf

from forgefield.labelers.coupled_cluster.engine import Wanted, coupled_cluster
from forgefield.labelers.coupled_cluster.thresholds import Thresholds
from forgefield.labelers.molecules import find_molecule
from forgefield.labelers.self_consistent import converge, pyscf_molecule
from forgefield.storage.records import Configuration

KCAL_PER_HARTREE_BOHR = 1185.82
TIGHT = Thresholds(1e-12, 1e-9, 1e-9, 1e-9, torch.float64)
LOOSE = {
    "SCF gradient": ("scf_gradient", (1e-6, 1e-5, 3e-5)),
    "t and λ": ("amplitudes", (1e-5, 3e-5, 1e-4)),
    "response": ("response", (1e-6, 1e-5, 1e-4)),
    "triples": ("triples", (torch.float32,)),
}
CASES = (
    ("methanol", "cc-pVDZ", 0.05),
    ("formaldehyde", "cc-pVDZ", 0.05),
    ("ammonia", "cc-pVDZ", 0.0),
    ("malonaldehyde", "6-31G", 0.05),
    ("methanol", "aug-cc-pVDZ", 0.05),
)


def gradient(configuration: Configuration, basis: str, limits: Thresholds) -> np.ndarray:
    """Hartree/bohr (A, 3)."""
    from pyscf.data.elements import chemcore

    field = scf.RHF(pyscf_molecule(configuration, basis, 8_000_000_000))
    converge(field, min(1e-9, limits.scf_energy), limits.scf_gradient)
    found = coupled_cluster(field, Wanted(chemcore(field.mol)), limits)
    return np.asarray(found.gradient_A3)


def main() -> None:
    """Print a table."""
    torch.set_num_threads(1)
    for name, basis, amplitude in CASES:
        molecule = find_molecule(name)
        noise_A3 = np.random.default_rng(0).normal(0, amplitude, molecule.positions_A3.shape)
        shape = Configuration(name, molecule.numbers, molecule.positions_A3 + noise_A3)
        exact = gradient(shape, basis, TIGHT)
        for words, (field, values) in LOOSE.items():
            for value in values:
                rough = gradient(shape, basis, replace(TIGHT, **{field: value}))
                error = np.abs(rough - exact).max() * KCAL_PER_HARTREE_BOHR
                print(f"{name}/{basis:12s} {words:13s} {value!s:14s} {error:.1e}")


if __name__ == "__main__":
    main()
