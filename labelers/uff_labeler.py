"""UFF labels through the OpenMM system."""

from forgefield.labelers.force_field_labeler import Field, ForceFieldLabeler
from forgefield.labelers.uff import uff_system
from forgefield.storage.records import Molecule


class UffLabeler(ForceFieldLabeler):
    """The universal force field, for elements that others don't know; RDKit's numbers."""

    name = "UFF"
    atom_s, pair_s = 1.3e-6, 1.3e-8
    """0.10 ms for methanol, 0.13 ms for aspirin, 0.63 ms for 162 atoms."""

    def field(self, molecule: Molecule) -> Field:
        """Parameters found by RDKit."""
        return Field(uff_system(molecule), tuple(range(len(molecule.numbers))))
