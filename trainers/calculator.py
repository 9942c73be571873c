"""A saved force field as an ASE calculator.

    from forgefield.trainers.calculator import ForgefieldCalculator
    atoms.calc = ForgefieldCalculator("runs/methanol/force_field")

Energies are eV and absolute (the target method's), forces eV/Å, stress eV/Å³. Atoms may be
periodic in any directions; boxes that are periodic in all three have a stress too.

Of a committee these are means over its members. After each of them the calculator has two arrays
more, (A,) in eV/Å: `force_spread`, how far the members' force vectors disagree, and where its
calibration is known `force_error`, the length of the force error to be expected of each atom near
the configurations it was trained on. (ASE's own `results` takes no names but its own.) The cost is
that of all members; a member's folder, `…/force_field/member-00`, is a force field too.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.data import chemical_symbols
from ase.stress import full_3x3_to_voigt_6_stress

from forgefield.storage.errors import InputError
from forgefield.storage.records import Array
from forgefield.trainers.force_field import ForceField
from forgefield.trainers.graphs import Graph
from forgefield.trainers.graphs.graph_set import graph_of_one
from forgefield.trainers.graphs.skin import SkinnedTable
from forgefield.trainers.loading import load_force_field
from forgefield.trainers.models.potential import energy_and_forces
from forgefield.trainers.models.virial import energy_forces_virial
from forgefield.trainers.uncertainty.committee import Committee, force_spread

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
        self.force_field = load_force_field(Path(folder), device=device)
        self.force_spread: Array | None = None
        self.force_error: Array | None = None
        sums = [_with_bases(member) for member in self.force_field.members]
        cutoffs = {part.network.cutoff for one in sums for part in one}
        tables = {cutoff: SkinnedTable(cutoff, skin) for cutoff in cutoffs}
        self.sums = [[_Part(part, tables[part.network.cutoff]) for part in one] for one in sums]
        if double:
            for part in chain.from_iterable(self.sums):
                part.network.double()

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy", "forces"),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """ASE's hook; raises `InputError` for a molecule never trained on, or a flat cell."""
        super().calculate(atoms, properties, system_changes)
        self._refuse_strangers()
        stressed = "stress" in properties and bool(self.atoms.pbc.all())
        found = [_summed(parts, self.atoms, virial=stressed) for parts in self.sums]
        forces_MA3 = np.stack([forces_A3 for _, forces_A3, _ in found])
        self._refuse_no_numbers(forces_MA3)
        self.results: dict[str, Any] = {
            "energy": float(np.mean([energy for energy, _, _ in found])),
            "forces": forces_MA3.mean(axis=0),
        }
        if stressed:
            virial_33 = np.mean([virial_33 for _, _, virial_33 in found], axis=0)
            self.results["stress"] = full_3x3_to_voigt_6_stress(virial_33 / self.atoms.get_volume())
        if isinstance(self.force_field, Committee):
            known, self.force_spread = self.force_field.calibration, force_spread(forces_MA3)
            if known is not None:
                self.force_error = known.expected_force_error(self.force_spread)

    def _refuse_no_numbers(self, forces_MA3: Array) -> None:
        """Dynamics would go on with NaN to its end."""
        bad_A = ~np.isfinite(forces_MA3).all(axis=(0, 2))
        if bad_A.any():
            raise InputError(
                f"The force field has no number for the force on atoms {np.flatnonzero(bad_A)}: "
                "two atoms lie on each other, or a position is none. Begin elsewhere, or take a "
                "shorter time step."
            )

    def _refuse_strangers(self) -> None:
        """Any other molecule would get a number that means nothing."""
        metadata, here = self.force_field.metadata, sorted(self.atoms.numbers.tolist())
        if self.atoms.pbc.any() and metadata.periodic is False:
            raise InputError(
                "This force field was trained on molecules in free space and knows nothing of what "
                "lies between them: set atoms.pbc = False."
            )
        weights = set(self.force_field.members[0].network.elements)
        missing = set(here) - (set(metadata.references) & weights)
        known = metadata.compositions
        if self.atoms.pbc.any():
            strange = not any(_is_multiple(here, one) for one in known)
        else:
            strange = tuple(here) not in known
        if missing or (known and strange):
            raise InputError(
                f"This force field was trained on {_named(known, weights)}; "
                f"{self.atoms.symbols} is something else. Run a campaign for it."
            )


class _Part:
    """One force field of a sum, without its base, and the neighbours that it looks at."""

    def __init__(self, force_field: ForceField, table: SkinnedTable) -> None:
        self.metadata, self.network, self.table = force_field.metadata, force_field.network, table

    def compute(self, atoms: Atoms, *, virial: bool) -> tuple[float, Array, Array]:
        """Energy in eV, forces (A, 3) in eV/Å and, where asked for, dE/d(strain) (3, 3) in eV."""
        graph, scale, virial_33 = self._graph(atoms), self.metadata.scale, np.zeros((3, 3))
        if virial:
            energy_F, forces_A3, virial_F33 = energy_forces_virial(self.network, graph)
            virial_33 = virial_F33[0].double().cpu().numpy() * scale
        else:
            energy_F, forces_A3 = energy_and_forces(self.network, graph)
        offset = sum(self.metadata.references[number] for number in atoms.numbers.tolist())
        energy = float(energy_F[0]) * scale + offset
        return energy, forces_A3.double().cpu().numpy() * scale, virial_33

    def _graph(self, atoms: Atoms) -> Graph:
        some = next(self.network.parameters())
        positions = np.asarray(atoms.positions, dtype=np.float64)
        slots = self.table.at(positions, _cell(atoms))
        graph = graph_of_one(atoms.numbers, positions, slots, some.dtype, some.device)
        return replace(graph, head_F=graph.head_F + self.metadata.head)


def _summed(parts: Sequence[_Part], atoms: Atoms, *, virial: bool) -> tuple[float, Array, Array]:
    """Energy, forces and dE/d(strain) of a force field and its bases."""
    energies, forces, virials = zip(
        *(part.compute(atoms, virial=virial) for part in parts), strict=True
    )
    return sum(energies), np.sum(forces, axis=0), np.sum(virials, axis=0)


def _with_bases(force_field: ForceField) -> list[ForceField]:
    """The force field and all those under it, whose sum it stands for."""
    below = [] if force_field.base is None else _with_bases(force_field.base)
    return [force_field, *below]


def _is_multiple(here: list[int], one: tuple[int, ...]) -> bool:
    """A supercell holds a box that was trained on several times."""
    copies, rest = divmod(len(here), len(one))
    return rest == 0 and Counter(here) == {n: copies * c for n, c in Counter(one).items()}


def _named(compositions: Sequence[tuple[int, ...]], elements: Iterable[int], most: int = 5) -> str:
    """Formulas for a message, such as "CH4O and H2O", or the elements where nobody knows them."""
    if not compositions:
        return f"the elements {', '.join(chemical_symbols[one] for one in sorted(elements))}"
    names = sorted({Atoms(numbers=one).get_chemical_formula() for one in compositions})
    shown = [*names[:most], *([f"{len(names) - most} more"] if len(names) > most else [])]
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


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
