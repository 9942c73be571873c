"""MMFF94's terms and their parameters for one molecule, as RDKit finds them.

Every generator yields (atoms, parameters) of one kind of term, in MMFF's own units (md/Å, Å,
degrees, kcal/mol, e).
"""

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import rdForceFieldHelpers

from forgefield.labelers.chemgraph import graph_of, shown
from forgefield.storage.errors import InputError
from forgefield.storage.records import Molecule

if TYPE_CHECKING:
    from rdkit.ForceField.rdForceField import MMFFMolProperties

Term = tuple[tuple[int, ...], tuple[float, ...]]
Source = Callable[[Chem.Mol, "MMFFMolProperties"], Iterator[Term]]

LINEAR_TYPES = frozenset({4, 53, 61})
"""MMFF atom types with two bonds on one line (`linh` in MMFFPROP.PAR)."""
FOURTEEN_SCALE = 0.75
_TWISTABLE = (Chem.HybridizationType.SP2, Chem.HybridizationType.SP3)


def typed(molecule: Molecule) -> tuple[Chem.Mol, "MMFFMolProperties"]:
    """RDKit's graph and its MMFF94 properties; `InputError` where MMFF94 can't describe it."""
    graph = graph_of(molecule)
    if graph is None:
        raise InputError(
            f"MMFF94 needs the bonds of {shown(molecule.name)}, which could not be perceived; give "
            "an SDF file or SMILES, check the charge, or leave the MMFF94 tier out"
        )
    with rdBase.BlockLogs():
        properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(graph, "MMFF94")
    if properties is None:
        raise InputError(
            f"MMFF94 has no atom type for part of {shown(molecule.name)}; leave the MMFF94 tier "
            "out and begin with GFN2-xTB"
        )
    return graph, properties


def bonds(graph: Chem.Mol, properties: "MMFFMolProperties") -> Iterator[Term]:
    """Stretches: (kb, r0)."""
    for bond in graph.GetBonds():
        atoms = (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
        found = properties.GetMMFFBondStretchParams(graph, *atoms)
        if found:
            yield atoms, tuple(found[1:])


def bent_angles(graph: Chem.Mol, properties: "MMFFMolProperties") -> Iterator[Term]:
    """Bends about centres that aren't linear: (ka, theta0)."""
    for atoms in _triples(graph):
        found = properties.GetMMFFAngleBendParams(graph, *atoms)
        if found and not _linear(properties, atoms[1]):
            yield atoms, tuple(found[1:])


def linear_angles(graph: Chem.Mol, properties: "MMFFMolProperties") -> Iterator[Term]:
    """Bends about linear centres: (ka,)."""
    for atoms in _triples(graph):
        found = properties.GetMMFFAngleBendParams(graph, *atoms)
        if found and _linear(properties, atoms[1]):
            yield atoms, (found[1],)


def stretch_bends(graph: Chem.Mol, properties: "MMFFMolProperties") -> Iterator[Term]:
    """Couplings: (kij, kkj, rij, rkj, theta0)."""
    for i, j, k in _triples(graph):
        found = properties.GetMMFFStretchBendParams(graph, i, j, k)
        angle = properties.GetMMFFAngleBendParams(graph, i, j, k)
        if found and angle and not _linear(properties, j):
            r_ij = properties.GetMMFFBondStretchParams(graph, i, j)[2]
            r_kj = properties.GetMMFFBondStretchParams(graph, k, j)[2]
            yield (i, j, k), (found[1], found[2], r_ij, r_kj, angle[2])


def out_of_planes(graph: Chem.Mol, properties: "MMFFMolProperties") -> Iterator[Term]:
    """Wilson angles of centre j (second), each neighbour in turn above the others: (koop,)."""
    for atom in graph.GetAtoms():
        if atom.GetDegree() != 3:
            continue
        j = atom.GetIdx()
        i, k, l = (a.GetIdx() for a in atom.GetNeighbors())
        koop = properties.GetMMFFOopBendParams(graph, i, j, k, l)
        if koop:
            for atoms in ((i, j, k, l), (i, j, l, k), (k, j, l, i)):
                yield atoms, (koop,)


def torsions(graph: Chem.Mol, properties: "MMFFMolProperties") -> Iterator[Term]:
    """Twists about bonds between sp2 and sp3 atoms: (v1, v2, v3)."""
    for bond in graph.GetBonds():
        middle = (bond.GetBeginAtom(), bond.GetEndAtom())
        if not all(atom.GetHybridization() in _TWISTABLE for atom in middle):
            continue
        j, k = (atom.GetIdx() for atom in middle)
        for i in _neighbours(middle[0], k):
            for l in _neighbours(middle[1], j):
                found = properties.GetMMFFTorsionParams(graph, i, j, k, l) if i != l else None
                if found and any(found[1:]):
                    yield (i, j, k, l), tuple(found[1:])


def pairs(graph: Chem.Mol, properties: "MMFFMolProperties") -> Iterator[Term]:
    """Atoms three bonds apart or more: (R*, eps, scaled product of charges)."""
    steps_AA = Chem.GetDistanceMatrix(graph)
    charges_A = [properties.GetMMFFPartialCharge(i) for i in range(graph.GetNumAtoms())]
    for i, j in combinations(range(graph.GetNumAtoms()), 2):
        if steps_AA[i, j] < 3:
            continue
        scale = FOURTEEN_SCALE if steps_AA[i, j] == 3 else 1.0
        _, _, r_star, epsilon = properties.GetMMFFVdWParams(i, j)
        yield (i, j), (r_star, epsilon, scale * charges_A[i] * charges_A[j])


def _triples(graph: Chem.Mol) -> Iterator[tuple[int, int, int]]:
    for atom in graph.GetAtoms():
        for i, k in combinations([a.GetIdx() for a in atom.GetNeighbors()], 2):
            yield i, atom.GetIdx(), k


def _neighbours(atom: Chem.Atom, other: int) -> list[int]:
    return [a.GetIdx() for a in atom.GetNeighbors() if a.GetIdx() != other]


def _linear(properties: "MMFFMolProperties", atom: int) -> bool:
    return properties.GetMMFFAtomType(atom) in LINEAR_TYPES


def masses(graph: Chem.Mol) -> list[float]:
    """Atomic masses, amu, isotopes respected."""
    return [float(np.round(atom.GetMass(), 6)) for atom in graph.GetAtoms()]
