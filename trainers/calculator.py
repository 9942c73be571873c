"""A saved force field as an ASE calculator.

    from forgefield.trainers.calculator import ForgefieldCalculator
    atoms.calc = ForgefieldCalculator("runs/methanol/force_field")

Energies are eV and absolute (the target method's), forces eV/Å, stress eV/Å³. Atoms may be
periodic in any directions; boxes that are periodic in all three have a stress too.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from forgefield.storage.errors import InputError
from forgefield.storage.records import Array
from forgefield.trainers.force_field import ForceField
from forgefield.trainers.graphs import Graph
from forgefield.trainers.graphs.graph_set import graph_of_one
from forgefield.trainers.graphs.skin import SkinnedTable
from forgefield.trainers.models.potential import energy_and_forces
from forgefield.trainers.models.virial import energy_forces_virial

SKIN = 0.3
"""Å: a search costs a twentieth of a step, a skin of 1 Å half a step more in every step."""


class ForgefieldCalculator(Calculator):  # type: ignore[misc]
    """Energy, forces and stress; `double` computes in float64 for tight checks."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces", "stress"]

    def __init__(
        self,
        folder: Path | str,
        *,
        double: bool = True,
        device: str = "cpu",
        skin: float = SKIN,
    ) -> None:
        super().__init__()
        self.force_field = ForceField.load(Path(folder), device=device)
        if double:
            self.force_field.network.double()
        self.table = SkinnedTable(self.force_field.network.cutoff, skin)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy", "forces"),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """ASE's hook; raises `InputError` for a molecule never trained on, or a flat cell."""
        super().calculate(atoms, properties, system_changes)
        self._refuse_strangers()
        metadata, network, graph = (
            self.force_field.metadata,
            self.force_field.network,
            self._graph(),
        )
        self.results: dict[str, Any] = {}
        if "stress" in properties and self.atoms.pbc.all():
            energy_F, forces_A3, virial_F33 = energy_forces_virial(network, graph)
            stress_33 = virial_F33[0].double().cpu().numpy() * metadata.scale
            stress_33 = stress_33 / self.atoms.get_volume()
            self.results["stress"] = full_3x3_to_voigt_6_stress(stress_33)
        else:
            energy_F, forces_A3 = energy_and_forces(network, graph)
        offset = sum(metadata.references[number] for number in self.atoms.numbers.tolist())
        self.results["energy"] = float(energy_F[0]) * metadata.scale + offset
        self.results["forces"] = forces_A3.double().cpu().numpy() * metadata.scale

    def _refuse_strangers(self) -> None:
        """Any other molecule would get a number that means nothing."""
        metadata, here = self.force_field.metadata, sorted(self.atoms.numbers.tolist())
        missing = sorted(set(here) - set(metadata.references))
        known = metadata.compositions
        if self.atoms.pbc.any():
            strange = not any(_is_multiple(here, one) for one in known)
        else:
            strange = tuple(here) not in known
        if missing or (known and strange):
            raise InputError(
                f"This force field was trained on one molecule; {self.atoms.symbols} is another. "
                "Run a campaign for it."
            )

    def _graph(self) -> Graph:
        network = self.force_field.network
        some = next(network.parameters())
        positions = np.asarray(self.atoms.positions, dtype=np.float64)
        slots = self.table.at(positions, _cell(self.atoms))
        return graph_of_one(self.atoms.numbers, positions, slots, some.dtype, some.device)


def _is_multiple(here: list[int], one: tuple[int, ...]) -> bool:
    """A supercell holds a box that was trained on several times."""
    copies, rest = divmod(len(here), len(one))
    return rest == 0 and Counter(here) == {n: copies * c for n, c in Counter(one).items()}


def _cell(atoms: Atoms) -> Array:
    """(3, 3) as in `Frames`: zero where not periodic, NaN for a molecule in free space."""
    if not atoms.pbc.any():
        return np.full((3, 3), np.nan)
    missing = atoms.pbc & ~atoms.cell.any(axis=1)
    if missing.any():
        raise InputError(
            f"atoms.pbc is {atoms.pbc.tolist()}, but a lattice vector is zero there: "
            "set atoms.cell, or atoms.pbc = False"
        )
    return np.where(atoms.pbc[:, None], np.asarray(atoms.cell), 0.0)
