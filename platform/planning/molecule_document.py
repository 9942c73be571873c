"""A molecule in a plan."""

import hashlib
from typing import Self

import numpy as np
from pydantic import FiniteFloat, model_validator

from forgefield.storage.documents import Document
from forgefield.storage.records import Molecule


class MoleculeDocument(Document):
    """A `Molecule` in JSON."""

    name: str
    numbers: tuple[int, ...]
    positions_A3: tuple[tuple[FiniteFloat, FiniteFloat, FiniteFloat], ...]
    charge: int
    multiplicity: int
    smiles: str
    mol_block: str

    @model_validator(mode="after")
    def _one_position_an_atom(self) -> Self:
        if not self.numbers or len(self.positions_A3) != len(self.numbers):
            raise ValueError("there must be atoms, and as many positions as numbers")
        return self

    def to_record(self) -> Molecule:
        """The molecule as the other rooms know it."""
        facts = self.model_dump() | {"positions_A3": np.array(self.positions_A3, dtype=np.float64)}
        return Molecule(**facts)

    def key(self) -> str:
        """128-bit hash of all of it, the name too."""
        return hashlib.blake2b(self.model_dump_json().encode(), digest_size=16).hexdigest()


def to_document(molecule: Molecule) -> MoleculeDocument:
    """A molecule as JSON."""
    return MoleculeDocument(
        name=molecule.name,
        numbers=molecule.numbers,
        positions_A3=tuple((float(x), float(y), float(z)) for x, y, z in molecule.positions_A3),
        charge=molecule.charge,
        multiplicity=molecule.multiplicity,
        smiles=molecule.smiles,
        mol_block=molecule.mol_block,
    )
