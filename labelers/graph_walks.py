"""The atoms of every kind of force-field term, found by walking over a molecule's bonds.

Legend: i, j, k, l are atom indices, neighbours bonded.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from rdkit import Chem

from forgefield.labelers.chemgraph import graph_of, shown
from forgefield.storage.errors import InputError
from forgefield.storage.records import Molecule

_TWISTABLE = (Chem.HybridizationType.SP2, Chem.HybridizationType.SP3)


def graph_with_bonds(molecule: Molecule, method: str) -> Chem.Mol:
    """RDKit's graph of a molecule; `InputError` where its bonds aren't known."""
    graph = graph_of(molecule)
    if graph is None:
        raise InputError(
            f"{method} needs the bonds of {shown(molecule.name)}, which could not be perceived; "
            f"give an SDF file or SMILES, check the charge, or leave the {method} tier out"
        )
    return graph


def masses(graph: Chem.Mol) -> list[float]:
    """Atomic masses, amu, isotopes respected."""
    return [float(np.round(atom.GetMass(), 6)) for atom in graph.GetAtoms()]


def bonded_pairs(graph: Chem.Mol) -> Iterator[tuple[int, int]]:
    """Every bond."""
    for bond in graph.GetBonds():
        yield bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()


def angles(graph: Chem.Mol) -> Iterator[tuple[int, int, int]]:
    """Every i–j–k, centre in the middle."""
    for atom in graph.GetAtoms():
        for i, k in combinations([a.GetIdx() for a in atom.GetNeighbors()], 2):
            yield i, atom.GetIdx(), k


def twists(bond: Chem.Bond) -> Iterator[tuple[int, int, int, int]]:
    """Every i–j–k–l about one bond between sp2 and sp3 atoms, three-rings left out."""
    middle = (bond.GetBeginAtom(), bond.GetEndAtom())
    if not all(atom.GetHybridization() in _TWISTABLE for atom in middle):
        return
    j, k = (atom.GetIdx() for atom in middle)
    for i in _neighbours(middle[0], k):
        for l in _neighbours(middle[1], j):
            if i != l:
                yield i, j, k, l


def flat_centres(graph: Chem.Mol) -> Iterator[tuple[int, int, int, int]]:
    """Every atom j with three neighbours, each in turn (last) above the other two."""
    for atom in graph.GetAtoms():
        if atom.GetDegree() == 3:
            j = atom.GetIdx()
            i, k, l = (a.GetIdx() for a in atom.GetNeighbors())
            yield from ((i, j, k, l), (i, j, l, k), (k, j, l, i))


def distant_pairs(graph: Chem.Mol) -> Iterator[tuple[int, int, int]]:
    """(i, j, bonds between them) of atoms three bonds apart or more, or of two molecules."""
    steps_AA = Chem.GetDistanceMatrix(graph)
    for i, j in combinations(range(graph.GetNumAtoms()), 2):
        if steps_AA[i, j] >= 3:
            yield i, j, int(steps_AA[i, j])


def _neighbours(atom: Chem.Atom, other: int) -> list[int]:
    return [a.GetIdx() for a in atom.GetNeighbors() if a.GetIdx() != other]
