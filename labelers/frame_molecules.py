"""The molecules that the frames of a file are geometries of.

Frames of the same atoms in the same order, charge and spin are one molecule. A force field also
minds bonds: with `bonds`, they are perceived from each frame's distances, or taken from the file
where it has them, and frames that differ in them are molecules apart.
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from rdkit import rdBase

from forgefield.labelers.frame_files import Frame
from forgefield.labelers.periodic import whole_molecules
from forgefield.labelers.structure_files import connected, perceived
from forgefield.storage.elements import formula
from forgefield.storage.records import Array, Configuration, Molecule


@dataclass(frozen=True, slots=True, eq=False)
class Geometries:
    """Configurations in the file's order, and by name the molecules that they belong to."""

    configurations: tuple[Configuration, ...]
    molecules: Mapping[str, Molecule]

    def molecule(self, number: int) -> Molecule:
        """The molecule of frame `number`."""
        return self.molecules[self.configurations[number].molecule]


def geometries_of(frames: Sequence[Frame], *, bonds: bool) -> Geometries:
    """Sort frames into molecules, named by formula: `CH4O`, `CH4O (2)`, `H4N+`."""
    known: dict[Hashable, Molecule] = {}
    named: Counter[str] = Counter()
    configurations = []
    for frame in frames:
        identity = _identity(frame, bonds=bonds)
        if identity not in known:
            plain = formula(frame.numbers, frame.charge)
            named[plain] += 1
            name = plain if named[plain] == 1 else f"{plain} ({named[plain]})"
            known[identity] = _molecule(frame, name, bonds=bonds)
        molecule = known[identity]
        configurations.append(
            Configuration(
                molecule.name,
                frame.numbers,
                frame.positions_A3,
                frame.charge,
                frame.multiplicity,
                frame.cell_33,
            )
        )
    return Geometries(tuple(configurations), {m.name: m for m in known.values()})


def _identity(frame: Frame, *, bonds: bool) -> Hashable:
    species = (frame.numbers, frame.charge, frame.multiplicity, frame.cell_33 is None)
    if not bonds:
        return species
    if frame.mol_block:
        return (*species, *frame.mol_block.splitlines()[4 + len(frame.numbers) :])
    with rdBase.BlockLogs():
        graph = connected(frame.numbers, _whole(frame))
    pairs = (sorted((b.GetBeginAtomIdx(), b.GetEndAtomIdx())) for b in graph.GetBonds())
    return (*species, tuple(sorted(map(tuple, pairs))))


def _molecule(frame: Frame, name: str, *, bonds: bool) -> Molecule:
    if bonds and not frame.mol_block and frame.cell_33 is None:
        found = perceived(name, frame.numbers, frame.positions_A3, frame.charge)
        smiles, mol_block = found.smiles, found.mol_block
    else:
        smiles, mol_block = frame.smiles, frame.mol_block
    return Molecule(
        name,
        frame.numbers,
        frame.positions_A3,
        frame.charge,
        frame.multiplicity,
        smiles,
        mol_block,
        frame.cell_33,
    )


def _whole(frame: Frame) -> Array:
    """Positions in which no molecule is cut by the walls of a box."""
    if frame.cell_33 is None:
        return frame.positions_A3
    return whole_molecules(frame.numbers, frame.positions_A3, frame.cell_33)
