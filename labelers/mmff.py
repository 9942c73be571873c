"""MMFF94 as an OpenMM system: RDKit's parameters, our own forces.

T. A. Halgren, J. Comput. Chem. 17, 490 (1996), equations 2 to 9. RDKit types the atoms and looks
up every parameter (`mmff_terms`); energies and forces equal RDKit's own. Inside the expressions
lengths are Å, angles degrees and energies kcal/mol.
"""

import numpy as np
import openmm

from forgefield.labelers import graph_walks, mmff_terms
from forgefield.labelers.openmm_terms import TermKind, system_of
from forgefield.storage.records import Molecule

_MDYNE_A = 143.9325
_DEG = float(np.pi / 180)

_BOND = f"{_MDYNE_A / 2!r}*kb*d^2*(1-2*d+(7/3)*d^2); d=10*r-r0"
_ANGLE = f"{_MDYNE_A * _DEG**2 / 2!r}*ka*d^2*(1-{0.4 * _DEG!r}*d); d=theta*{1 / _DEG!r}-theta0"
_LINEAR = f"{_MDYNE_A!r}*ka*(1+cos(theta))"
_STRETCH_BEND = (
    f"{_MDYNE_A * _DEG!r}*(kij*(10*distance(p1,p2)-rij)+kkj*(10*distance(p3,p2)-rkj))"
    f"*(angle(p1,p2,p3)*{1 / _DEG!r}-theta0)"
)
_OUT_OF_PLANE = (
    f"{_MDYNE_A / 2!r}*koop*asin(s)^2;"
    "s=(nx*(x4-x2)+ny*(y4-y2)+nz*(z4-z2))/(sqrt(nx^2+ny^2+nz^2)*distance(p2,p4));"
    "nx=(y1-y2)*(z3-z2)-(z1-z2)*(y3-y2);"
    "ny=(z1-z2)*(x3-x2)-(x1-x2)*(z3-z2);"
    "nz=(x1-x2)*(y3-y2)-(y1-y2)*(x3-x2)"
)
_TORSION = "0.5*(v1*(1+c)+2*v2*(1-c^2)+v3*(1+c*(4*c^2-3))); c=cos(theta)"
_PAIR = "eps*(1.07/(q+0.07))^7*(1.12/(q^7+0.12)-2)+332.0716*qq/(10*r+0.05); q=10*r/rstar"


KINDS: tuple[tuple[TermKind, mmff_terms.Source], ...] = (
    (TermKind(openmm.CustomBondForce, _BOND, ("kb", "r0")), mmff_terms.bonds),
    (TermKind(openmm.CustomAngleForce, _ANGLE, ("ka", "theta0")), mmff_terms.bent_angles),
    (TermKind(openmm.CustomAngleForce, _LINEAR, ("ka",)), mmff_terms.linear_angles),
    (
        TermKind(
            openmm.CustomCompoundBondForce, _STRETCH_BEND, ("kij", "kkj", "rij", "rkj", "theta0")
        ),
        mmff_terms.stretch_bends,
    ),
    (
        TermKind(openmm.CustomCompoundBondForce, _OUT_OF_PLANE, ("koop",)),
        mmff_terms.out_of_planes,
    ),
    (TermKind(openmm.CustomTorsionForce, _TORSION, ("v1", "v2", "v3")), mmff_terms.torsions),
    (TermKind(openmm.CustomBondForce, _PAIR, ("rstar", "eps", "qq")), mmff_terms.pairs),
)


def mmff_system(molecule: Molecule) -> openmm.System:
    """The OpenMM system of a molecule's MMFF94 energy, masses included.

    Raises `InputError` where bonds aren't known or MMFF94 lacks an atom type.
    """
    graph, properties = mmff_terms.typed(molecule)
    terms = ((kind, source(graph, properties)) for kind, source in KINDS)
    return system_of(graph_walks.masses(graph), terms)
