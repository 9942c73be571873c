"""Energies and forces by a model of the `nequip` package, in a process of that environment.

`python nequip_child.py MODEL IN.xyz OUT.npz DEVICE` reads geometries as ASE does and writes
`energy_F` (F,) and `forces_A3` (A, 3), eV and Å. It imports nothing of Forgefield's.
"""

import sys
from typing import Any

import numpy as np


def main(model: str, source: str, target: str, device: str) -> None:
    """Predict frame by frame; the neighbour list and the types are the model's."""
    from ase.io import iread  # type: ignore[import-not-found, unused-ignore]
    from nequip.integrations.ase import (  # type: ignore[import-not-found, unused-ignore]
        NequIPCalculator,
    )

    calculator: Any = NequIPCalculator._from_saved_model(model, device=device)  # noqa: SLF001
    energies, forces = [], []
    for atoms in iread(source, index=":"):
        atoms.calc = None
        calculator.calculate(atoms)
        energies.append(float(calculator.results["energy"]))
        forces.append(np.asarray(calculator.results["forces"], dtype=np.float64))
    np.savez(target, energy_F=np.array(energies), forces_A3=np.concatenate(forces))


if __name__ == "__main__":
    main(*sys.argv[1:])
