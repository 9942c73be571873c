"""UFF as an OpenMM system: RDKit's parameters, our own forces.

A. K. Rappé and others, J. Am. Chem. Soc. 114, 10024 (1992): an energy for nearly every element,
without charges. Energies and forces equal RDKit's own between atoms of one molecule, down to
angles of 30° at centres with a periodic bend: the wall that RDKit adds below is left out, because
it begins with a jump. Inside the expressions lengths are Å and energies kcal/mol.
"""

import openmm
from rdkit import rdBase

from forgefield.labelers import graph_walks, uff_terms
from forgefield.labelers.openmm_terms import TermKind, system_of
from forgefield.storage.records import Molecule

_BOND = "0.5*kb*(10*r-r0)^2"
_ANGLE = "ka*(c0+c1*cos(theta)+c2*cos(2*theta))"
_PERIODIC_ANGLE = "ka*(1-sign*cos(n*theta))"
_TORSION = "v*(1-sign*cos(n*theta))"
_INVERSION = (
    "koop*(c0+c1*s+c2*(2*s^2-1)); s=sqrt(max(1-c^2,1e-16));"
    "c=(nx*(x4-x2)+ny*(y4-y2)+nz*(z4-z2))/(sqrt(nx^2+ny^2+nz^2)*distance(p2,p4));"
    "nx=(y1-y2)*(z3-z2)-(z1-z2)*(y3-y2);"
    "ny=(z1-z2)*(x3-x2)-(x1-x2)*(z3-z2);"
    "nz=(x1-x2)*(y3-y2)-(y1-y2)*(x3-x2)"
)
_PAIR = "depth*(q^12-2*q^6); q=x/(10*r)"

KINDS = (
    (TermKind(openmm.CustomBondForce, _BOND, ("kb", "r0")), uff_terms.bonds),
    (
        TermKind(openmm.CustomAngleForce, _ANGLE, ("ka", "c0", "c1", "c2")),
        uff_terms.general_angles,
    ),
    (
        TermKind(openmm.CustomAngleForce, _PERIODIC_ANGLE, ("ka", "sign", "n")),
        uff_terms.periodic_angles,
    ),
    (TermKind(openmm.CustomTorsionForce, _TORSION, ("v", "sign", "n")), uff_terms.torsions),
    (
        TermKind(openmm.CustomCompoundBondForce, _INVERSION, ("koop", "c0", "c1", "c2")),
        uff_terms.inversions,
    ),
    (TermKind(openmm.CustomBondForce, _PAIR, ("x", "depth")), uff_terms.pairs),
)


def uff_system(molecule: Molecule) -> openmm.System:
    """The OpenMM system of a molecule's UFF energy, masses included.

    Raises `InputError` where bonds aren't known or UFF lacks an atom type.
    """
    graph = uff_terms.typed(molecule)
    terms = ((kind, source(graph)) for kind, source in KINDS)
    with rdBase.BlockLogs():
        return system_of(graph_walks.masses(graph), terms)
