"""Cost of a walker's step: many in one batch against ASE's loop over one molecule.

    OMP_NUM_THREADS=1 .venv/bin/python tests/benchmarks/choosing/walkers.py [--molecule ethanol]

The network is NequIP of the default recipe with fresh weights: speed doesn't depend on them.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from ase import Atoms, units
from ase.md.verlet import VelocityVerlet

from forgefield.labelers.molecules import find_molecule
from forgefield.platform.choosing.surfaces import Surface
from forgefield.platform.planning.recipe import Recipe
from forgefield.storage.records import Molecule
from forgefield.trainers.calculator import ForgefieldCalculator
from forgefield.trainers.force_field import ForceField, Metadata


def main() -> None:
    """Print milliseconds a step and a walker's step."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--molecule", default="ethanol")
    molecule = find_molecule(parser.parse_args().molecule)
    torch.set_num_threads(1)
    elements = tuple(sorted(set(molecule.numbers)))
    model = Recipe().training.model.model_copy(update={"elements": elements})
    about = Metadata(method="none", scale=1.0, references=dict.fromkeys(elements, 0.0), model=model)
    field = ForceField.fresh(about)
    surface = Surface((field,), molecule)
    for walkers in (1, 4, 16, 64):
        starts = np.repeat(molecule.positions_A3[None], walkers, axis=0)
        each = milliseconds(lambda x=starts: surface.forces(x), max(5, 80 // walkers))
        print(f"{walkers:3d} walkers: {each:6.1f} ms a step, {each / walkers:5.2f} ms a walker's")
    print(f"ASE:         {in_ase(field, molecule):6.1f} ms a step")


def milliseconds(step: Callable[[], object], times: int) -> float:
    """The fastest of `times` calls after a first one."""
    found = []
    for _ in range(times + 1):
        start = time.perf_counter()
        step()
        found.append(time.perf_counter() - start)
    return 1000 * min(found[1:])


def in_ase(field: ForceField, molecule: Molecule) -> float:
    """Velocity Verlet without a thermostat, single precision."""
    atoms = Atoms(molecule.numbers, molecule.positions_A3)
    with tempfile.TemporaryDirectory() as folder:
        field.save(Path(folder) / "field")
        atoms.calc = ForgefieldCalculator(Path(folder) / "field", double=False)
    dynamics = VelocityVerlet(atoms, 0.5 * units.fs)
    return milliseconds(lambda: dynamics.run(1), 40)


if __name__ == "__main__":
    main()
