"""Whether the molecule of a plan can be one: elements, bonds, charge, spin and geometry agree.

Å. Bonds are an MDL mol block (CTfile formats, V2000 and V3000) or nothing.
"""

import re
from collections.abc import Iterator

import numpy as np

from forgefield.platform.planning.molecule_document import MoleculeDocument
from forgefield.storage.elements import SYMBOLS

HEAVIEST_ELEMENT = 118
NEAREST = 0.2
"""Å between two atoms; hydrogen molecules have 0.74."""
FARTHEST = 1e5
HYDROGENS = {"D": 1, "T": 1}
_V2000_ATOM = re.compile(r"(?:\s*-?\d+\.\d+){3}\s+(?P<symbol>[A-Za-z*#]+)\b")
_V3000_ATOM = re.compile(r"M  V30 \d+ (?P<symbol>[A-Za-z*#]+)(?: -?[\d.]+){3} ")


def contradictions_of(molecule: MoleculeDocument) -> Iterator[str]:
    """What can't be, in words."""
    strange = [z for z in molecule.numbers if not 1 <= z <= HEAVIEST_ELEMENT]
    if strange:
        yield f"{strange[0]} is no atomic number"
        return
    electrons = sum(molecule.numbers) - molecule.charge
    if molecule.multiplicity < 1:
        yield f"there is no multiplicity {molecule.multiplicity}"
    if electrons < 0 or (electrons + molecule.multiplicity) % 2 == 0:
        yield f"{electrons} electrons can't have the multiplicity {molecule.multiplicity}"
    if molecule.mol_block:
        yield from _of_bonds(molecule)
    yield from _of_geometry(molecule)


def _of_bonds(molecule: MoleculeDocument) -> Iterator[str]:
    symbols = elements_of(molecule.mol_block)
    if sorted(symbols) != sorted(molecule.numbers):
        named = " ".join(SYMBOLS[z] for z in sorted(symbols)) or "no atoms"
        own = " ".join(SYMBOLS[z] for z in sorted(molecule.numbers))
        yield f"its bonds are of {named[:60]}, its atoms are {own[:60]}"


def _of_geometry(molecule: MoleculeDocument) -> Iterator[str]:
    positions_A3 = np.array(molecule.positions_A3)
    if np.abs(positions_A3).max() > FARTHEST:
        yield f"an atom lies more than {FARTHEST:g} Å from the origin"
        return
    for place, position in enumerate(positions_A3[1:], 1):
        distance_A = np.linalg.norm(positions_A3[:place] - position, axis=1)
        if distance_A.min() < NEAREST:
            yield f"atoms {distance_A.argmin()} and {place} lie {distance_A.min():.2g} Å apart"
            return


def elements_of(mol_block: str) -> list[int]:
    """Atomic numbers by a mol block; empty where it is none."""
    lines = mol_block.splitlines()
    counts = lines[3] if len(lines) > 3 else ""
    if "V3000" in counts:
        found = [m["symbol"] for line in lines[4:] if (m := _V3000_ATOM.match(line))]
    elif counts[:3].strip().isdigit():
        atoms = lines[4 : 4 + int(counts[:3])]
        found = [m["symbol"] for line in atoms if (m := _V2000_ATOM.match(line))]
    else:
        return []
    places = {symbol: number for number, symbol in enumerate(SYMBOLS)} | HYDROGENS
    return [places.get(symbol, 0) for symbol in found]
