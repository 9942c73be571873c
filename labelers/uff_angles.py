"""The shape of every angle under UFF: its force constant, rest value and cosine.

Linear, trigonal, square and octahedral centres have a periodic bend (order 1, 3, 4), all others
one with a single minimum (order 0). After RDKit, sp2 atoms of three- and four-rings take rest
angles that a ring allows, and five neighbours form a bipyramid whose axis is the straightest pair
of bonds in the molecule's own geometry.
"""

from collections.abc import Iterator
from itertools import combinations
from math import cos, radians

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdForceFieldHelpers

from forgefield.labelers.graph_walks import angles

Shaped = tuple[tuple[int, int, int], float, float, int]
"""Atoms, ka in kcal/mol/rad², theta0 in degrees, order."""

_ORDERS = {
    Chem.HybridizationType.SP: 1,
    Chem.HybridizationType.SP2: 3,
    Chem.HybridizationType.SP3D2: 4,
}
_SMALL_RINGS = {3: (60.0, 150.0), 4: (90.0, 135.0)}
"""Degrees at an sp2 atom of a ring of that size: within it, and towards a substituent."""


def shaped_angles(graph: Chem.Mol) -> Iterator[Shaped]:
    """Every bend of a molecule."""
    for atoms in angles(graph):
        centre = graph.GetAtomWithIdx(atoms[1])
        force, theta0 = rdForceFieldHelpers.GetUFFAngleBendParams(graph, *atoms)
        if centre.GetHybridization() == Chem.HybridizationType.SP3D and centre.GetDegree() == 5:
            yield atoms, force, theta0, _bipyramid_order(graph, atoms)
            continue
        order = _ORDERS.get(centre.GetHybridization(), 0)
        ring = _ring_angle(graph, atoms) if order == 3 else None
        if ring is None:
            yield atoms, force, theta0, order
        else:
            yield atoms, force * _stiffening(graph, atoms, theta0, ring), ring, 0


def _ring_angle(graph: Chem.Mol, atoms: tuple[int, int, int]) -> float | None:
    rings = graph.GetRingInfo()
    for size, (inside, outside) in _SMALL_RINGS.items():
        if rings.IsAtomInRingOfSize(atoms[1], size):
            ends = [rings.IsAtomInRingOfSize(atom, size) for atom in (atoms[0], atoms[2])]
            return inside if all(ends) else outside if any(ends) else None
    return None


def _stiffening(graph: Chem.Mol, atoms: tuple[int, int, int], theta0: float, other: float) -> float:
    """What another rest angle makes of the force constant, equation 13."""
    r_ij = rdForceFieldHelpers.GetUFFBondStretchParams(graph, atoms[0], atoms[1])[1]
    r_jk = rdForceFieldHelpers.GetUFFBondStretchParams(graph, atoms[1], atoms[2])[1]

    def constant(angle: float) -> float:
        c = cos(radians(angle))
        r_ik = (r_ij**2 + r_jk**2 - 2 * r_ij * r_jk * c) ** 0.5
        return float((3 * r_ij * r_jk * (1 - c**2) - r_ik**2 * c) / r_ik**5)

    return constant(other) / constant(theta0)


def _bipyramid_order(graph: Chem.Mol, atoms: tuple[int, int, int]) -> int:
    """2 along the axis, 3 between equatorial atoms, 0 between one and the other."""
    positions_A3 = graph.GetConformer().GetPositions()
    centre = graph.GetAtomWithIdx(atoms[1])
    arms = {
        a.GetIdx(): positions_A3[a.GetIdx()] - positions_A3[atoms[1]] for a in centre.GetNeighbors()
    }
    units = {index: arm / np.linalg.norm(arm) for index, arm in arms.items()}
    axis = min(combinations(units, 2), key=lambda pair: float(units[pair[0]] @ units[pair[1]]))
    return {2: 2, 1: 0, 0: 3}[len({atoms[0], atoms[2]} & set(axis))]
