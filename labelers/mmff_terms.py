"""MMFF94's terms and their parameters for one molecule, as RDKit finds them.

Every generator yields (atoms, parameters) of one kind of term, in MMFF's own units (md/Å, Å,
degrees, kcal/mol, e).
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rdkit import Chem, rdBase
from rdkit.Chem import rdForceFieldHelpers

from forgefield.labelers import graph_walks
from forgefield.labelers.chemgraph import shown
from forgefield.labelers.openmm_terms import Term
from forgefield.storage.errors import InputError
from forgefield.storage.records import Molecule

if TYPE_CHECKING:
    from rdkit.ForceField.rdForceField import MMFFMolProperties

Source = Callable[[Chem.Mol, "MMFFMolProperties"], Iterator[Term]]

LINEAR_TYPES = frozenset({4, 53, 61})
"""MMFF atom types with two bonds on one line (`linh` in MMFFPROP.PAR)."""
FOURTEEN_SCALE = 0.75


def typed(molecule: Molecule) -> tuple[Chem.Mol, "MMFFMolProperties"]:
    """RDKit's graph and its MMFF94 properties; `InputError` where MMFF94 can't describe it."""
    graph = graph_walks.graph_with_bonds(molecule, "MMFF94")
    with rdBase.BlockLogs():
        properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(graph, "MMFF94")
    if properties is None:
        raise InputError(
            f"MMFF94 has no atom type for part of {shown(molecule.name)}; leave the MMFF94 tier "
            "out and begin with UFF or GFN2-xTB"
        )
    return graph, properties


def bonds(graph: Chem.Mol, properties: "MMFFMolProperties") -> Iterator[Term]:
    """Stretches: (kb, r0)."""
    for atoms in graph_walks.bonded_pairs(graph):
        found = properties.GetMMFFBondStretchParams(graph, *atoms)
        if found:
            yield atoms, tuple(found[1:])


def bent_angles(graph: Chem.Mol, properties: "MMFFMolProperties") -> Iterator[Term]:
    """Bends about centres that aren't linear: (ka, theta0)."""
    for atoms in graph_walks.angles(graph):
        found = properties.GetMMFFAngleBendParams(graph, *atoms)
        if found and not _linear(properties, atoms[1]):
            yield atoms, tuple(found[1:])


def linear_angles(graph: Chem.Mol, properties: "MMFFMolProperties") -> Iterator[Term]:
    """Bends about linear centres: (ka,)."""
    for atoms in graph_walks.angles(graph):
        found = properties.GetMMFFAngleBendParams(graph, *atoms)
        if found and _linear(properties, atoms[1]):
            yield atoms, (found[1],)


def stretch_bends(graph: Chem.Mol, properties: "MMFFMolProperties") -> Iterator[Term]:
    """Couplings: (kij, kkj, rij, rkj, theta0)."""
    for i, j, k in graph_walks.angles(graph):
        found = properties.GetMMFFStretchBendParams(graph, i, j, k)
        angle = properties.GetMMFFAngleBendParams(graph, i, j, k)
        if found and angle and not _linear(properties, j):
            r_ij = properties.GetMMFFBondStretchParams(graph, i, j)[2]
            r_kj = properties.GetMMFFBondStretchParams(graph, k, j)[2]
            yield (i, j, k), (found[1], found[2], r_ij, r_kj, angle[2])


def out_of_planes(graph: Chem.Mol, properties: "MMFFMolProperties") -> Iterator[Term]:
    """Wilson angles of centre j (second), each neighbour in turn above the others: (koop,)."""
    for atoms in graph_walks.flat_centres(graph):
        koop = properties.GetMMFFOopBendParams(graph, *atoms)
        if koop:
            yield atoms, (koop,)


def torsions(graph: Chem.Mol, properties: "MMFFMolProperties") -> Iterator[Term]:
    """Twists about bonds between sp2 and sp3 atoms: (v1, v2, v3)."""
    for bond in graph.GetBonds():
        for atoms in graph_walks.twists(bond):
            found = properties.GetMMFFTorsionParams(graph, *atoms)
            if found and any(found[1:]):
                yield atoms, tuple(found[1:])


def pairs(graph: Chem.Mol, properties: "MMFFMolProperties") -> Iterator[Term]:
    """Atoms three bonds apart or more: (R*, eps, scaled product of charges)."""
    charges_A = [properties.GetMMFFPartialCharge(i) for i in range(graph.GetNumAtoms())]
    for i, j, steps in graph_walks.distant_pairs(graph):
        scale = FOURTEEN_SCALE if steps == 3 else 1.0
        _, _, r_star, epsilon = properties.GetMMFFVdWParams(i, j)
        yield (i, j), (r_star, epsilon, scale * charges_A[i] * charges_A[j])


def _linear(properties: "MMFFMolProperties", atom: int) -> bool:
    return properties.GetMMFFAtomType(atom) in LINEAR_TYPES
