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
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from forgefield.storage.errors import InputError
from forgefield.trainers.force_field import ForceField
from forgefield.trainers.graphs import Graph, all_pairs
from forgefield.trainers.potential import energy_and_forces


class ForgefieldCalculator(Calculator):  # type: ignore[misc]
    """Energy and forces of one molecule; `double` computes in float64 for tight checks."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(self, folder: Path | str, *, double: bool = True, device: str = "cpu") -> None:
        super().__init__()
        self.force_field = ForceField.load(Path(folder), device=device)
        if double:
            self.force_field.network.double()
        self._pairs: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

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
        some = next(self.force_field.network.parameters())
        atoms = len(self.atoms)
        if atoms not in self._pairs:
            source, target = all_pairs(np.array([0, atoms]))
            pair = (torch.from_numpy(source), torch.from_numpy(target))
            self._pairs = {atoms: (pair[0].to(some.device), pair[1].to(some.device))}
        source_E, target_E = self._pairs[atoms]
        return Graph(
            numbers=torch.tensor(self.atoms.numbers, device=some.device),
            positions_A3=torch.tensor(self.atoms.positions, dtype=some.dtype, device=some.device),
            source=source_E,
            target=target_E,
            frame_A=torch.zeros(atoms, dtype=torch.int64, device=some.device),
            frames=1,
        )
