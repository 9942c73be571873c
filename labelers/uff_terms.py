"""UFF's terms and their parameters for one molecule, as RDKit finds them.

A. K. Rappé and others, J. Am. Chem. Soc. 114, 10024 (1992). RDKit types the atoms and gives force
constants and rest values; which cosine a term has is decided here, by the paper's rules and
RDKit's own (bends about sp2 atoms of three- and four-rings). Units: kcal/mol, Å, degrees.
"""

from collections.abc import Iterator
from math import cos, radians, sin

from rdkit import Chem, rdBase
from rdkit.Chem import rdForceFieldHelpers

from forgefield.labelers import graph_walks
from forgefield.labelers.chemgraph import shown
from forgefield.labelers.openmm_terms import Term
from forgefield.labelers.uff_angles import shaped_angles
from forgefield.storage.errors import InputError
from forgefield.storage.records import Molecule

GROUP_6 = frozenset({8, 16, 34, 52, 84})
PYRAMID_ANGLE = {15: 84.4339, 33: 86.9735, 51: 87.7047, 83: 90.0}
"""Degrees between a bond of P, As, Sb, Bi and the plane of the other two, by atomic number."""


def typed(molecule: Molecule) -> Chem.Mol:
    """RDKit's graph of a molecule that UFF describes; `InputError` otherwise."""
    graph = graph_walks.graph_with_bonds(molecule, "UFF")
    with rdBase.BlockLogs():
        known = rdForceFieldHelpers.UFFHasAllMoleculeParams(graph)
    if not known:
        raise InputError(
            f"UFF has no atom type for part of {shown(molecule.name)}; leave the UFF tier out and "
            "begin with GFN2-xTB"
        )
    return graph


def bonds(graph: Chem.Mol) -> Iterator[Term]:
    """Stretches: (kb, r0)."""
    for atoms in graph_walks.bonded_pairs(graph):
        found = rdForceFieldHelpers.GetUFFBondStretchParams(graph, *atoms)
        if found:
            yield atoms, tuple(found)


def general_angles(graph: Chem.Mol) -> Iterator[Term]:
    """Bends with a minimum at theta0: (ka, c0, c1, c2), equation 11."""
    for atoms, force, theta0, order in shaped_angles(graph):
        if order == 0:
            c2 = 1 / (4 * max(sin(radians(theta0)) ** 2, 1e-8))
            c1 = -4 * c2 * cos(radians(theta0))
            c0 = c2 * (2 * cos(radians(theta0)) ** 2 + 1)
            yield atoms, (force, c0, c1, c2)


def periodic_angles(graph: Chem.Mol) -> Iterator[Term]:
    """Bends of a regular shape: (ka/n², sign, n), with 1 − sign·cos nθ, equation 10."""
    for atoms, force, _, order in shaped_angles(graph):
        if order:
            yield atoms, (force / order**2, -1.0 if order == 1 else 1.0, float(order))


def torsions(graph: Chem.Mol) -> Iterator[Term]:
    """Twists: (V/2 shared among the torsions of a bond, sign, n), with 1 − sign·cos nφ."""
    for bond in graph.GetBonds():
        found = list(graph_walks.twists(bond))
        for i, j, k, l in found:
            force = rdForceFieldHelpers.GetUFFTorsionParams(graph, i, j, k, l)
            if force:
                sign, order = _twist_shape(graph, (i, j, k, l), bond)
                yield (i, j, k, l), (force / (2 * len(found)), sign, order)


def inversions(graph: Chem.Mol) -> Iterator[Term]:
    """Umbrella terms: (K, c0, c1, c2) of the angle between a bond and the plane of two others."""
    for i, j, k, l in graph_walks.flat_centres(graph):
        force = rdForceFieldHelpers.GetUFFInversionParams(graph, i, j, k, l)
        if not force:
            continue
        angle = PYRAMID_ANGLE.get(graph.GetAtomWithIdx(j).GetAtomicNum())
        if angle is None:
            yield (i, j, k, l), (force, 1.0, -1.0, 0.0)
        else:
            c1 = -4 * cos(radians(angle))
            c0 = -(c1 * cos(radians(angle)) + cos(radians(2 * angle)))
            yield (i, j, k, l), (force, c0, c1, 1.0)


def pairs(graph: Chem.Mol) -> Iterator[Term]:
    """Atoms three bonds apart or more: (x, D); two molecules too, unlike RDKit's default."""
    for i, j, _ in graph_walks.distant_pairs(graph):
        yield (i, j), tuple(rdForceFieldHelpers.GetUFFVdWParams(graph, i, j))


def _twist_shape(
    graph: Chem.Mol, atoms: tuple[int, int, int, int], bond: Chem.Bond
) -> tuple[float, float]:
    """(cos nφ₀, n) of a torsion, the paper's equations 16 to 18."""
    middle = [graph.GetAtomWithIdx(index) for index in atoms[1:3]]
    flat = [atom.GetHybridization() == Chem.HybridizationType.SP2 for atom in middle]
    group_6 = [atom.GetAtomicNum() in GROUP_6 for atom in middle]
    single = bond.GetBondTypeAsDouble() == 1.0
    if all(flat):
        return 1.0, 2.0
    if not any(flat):
        return -1.0, 2.0 if single and all(group_6) else 3.0
    if single and group_6[flat.index(False)] and not group_6[flat.index(True)]:
        return -1.0, 2.0
    return (-1.0, 3.0) if single and _flat_end(graph, atoms) else (1.0, 6.0)


def _flat_end(graph: Chem.Mol, atoms: tuple[int, int, int, int]) -> bool:
    ends = (graph.GetAtomWithIdx(atoms[0]), graph.GetAtomWithIdx(atoms[3]))
    return any(atom.GetHybridization() == Chem.HybridizationType.SP2 for atom in ends)
