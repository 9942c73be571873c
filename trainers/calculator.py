"""A saved force field as an ASE calculator.

    from forgefield.trainers.calculator import ForgefieldCalculator
    atoms.calc = ForgefieldCalculator("runs/methanol/force_field")

Energies are eV and absolute (the target method's), forces eV/Å. Molecules in vacuum: a periodic
cell is refused rather than ignored.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from forgefield.storage.errors import InputError
from forgefield.trainers.force_field import ForceField
from forgefield.trainers.graphs import Graph
from forgefield.trainers.graphs.graph_set import graph_of_one
from forgefield.trainers.graphs.neighbours import Slots, into_slots, near_pairs
from forgefield.trainers.models.potential import energy_and_forces


class ForgefieldCalculator(Calculator):  # type: ignore[misc]
    """Energy and forces of one molecule; `double` computes in float64 for tight checks."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(self, folder: Path | str, *, double: bool = True, device: str = "cpu") -> None:
        super().__init__()
        self.force_field = ForceField.load(Path(folder), device=device)
        if double:
            self.force_field.network.double()
        self._slots: Slots | None = None

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy", "forces"),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """ASE's hook; raises `InputError` for periodic atoms or a molecule never trained on."""
        super().calculate(atoms, properties, system_changes)
        if self.atoms.pbc.any():
            raise InputError("this force field is for molecules; set atoms.pbc = False")
        references = self.force_field.metadata.references
        self._refuse_strangers()
        energy_F, forces_A3 = energy_and_forces(self.force_field.network, self._graph())
        scale = self.force_field.metadata.scale
        offset = sum(references[number] for number in self.atoms.numbers.tolist())
        self.results: dict[str, Any] = {
            "energy": float(energy_F[0]) * scale + offset,
            "forces": forces_A3.double().cpu().numpy() * scale,
        }

    def _refuse_strangers(self) -> None:
        """Any other molecule would get a number that means nothing."""
        known, here = self.force_field.metadata.compositions, sorted(self.atoms.numbers.tolist())
        missing = sorted(set(here) - set(self.force_field.metadata.references))
        if missing or (known and tuple(here) not in known):
            raise InputError(
                f"This force field was trained on one molecule; {self.atoms.symbols} is another. "
                "Run a campaign for it."
            )

    def _graph(self) -> Graph:
        """All pairs: those beyond the cutoff are faded out by the model."""
        network = self.force_field.network
        some = next(network.parameters())
        if self._slots is None or len(self._slots.neighbour_AK) != len(self.atoms):
            ptr = np.array([0, len(self.atoms)])
            pairs = near_pairs(ptr, self.atoms.positions, np.inf)
            self._slots = into_slots(pairs, len(self.atoms), network.cutoff)
        return graph_of_one(
            self.atoms.numbers, self.atoms.positions, self._slots, some.dtype, some.device
        )
