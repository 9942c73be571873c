"""OpenMM systems put together from terms: an expression per kind, parameters per term.

This is how a force field whose parameters RDKit finds (`mmff`, `uff`) is computed by OpenMM.
Inside the expressions lengths are Å, angles degrees and energies kcal/mol where their module says
so; OpenMM's nm, radians and kJ/mol are converted at this edge. Non-bonded pairs are listed one by
one, which for up to a few hundred atoms is exact and fast.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import openmm

KJ_PER_KCAL = 4.184
Term = tuple[tuple[int, ...], tuple[float, ...]]
"""The atoms of one term and its parameters."""


@dataclass(frozen=True, slots=True)
class TermKind:
    """One kind of term: its energy in kcal/mol and the names of its parameters."""

    force: type[openmm.Force]
    expression: str
    parameters: tuple[str, ...]


def system_of(
    masses: Iterable[float], terms: Iterable[tuple[TermKind, Iterable[Term]]]
) -> openmm.System:
    """A system of particles with these masses (amu) whose energy is the sum of all terms."""
    system = openmm.System()
    for mass in masses:
        system.addParticle(mass)
    for kind, found in terms:
        listed = list(found)
        if listed:
            system.addForce(_force(kind, listed))
    return system


def reference_context(system: openmm.System, integrator: openmm.Integrator) -> openmm.Context:
    """A context on the Reference platform: one thread, and for molecules faster than CPU."""
    return openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference"))


def _force(kind: TermKind, terms: list[Term]) -> openmm.Force:
    """An OpenMM force that sums the terms of one kind."""
    head, _, definitions = kind.expression.partition(";")
    energy = f"{KJ_PER_KCAL}*({head});{definitions}".rstrip(";")
    atoms = len(terms[0][0])
    compound = kind.force is openmm.CustomCompoundBondForce
    name = "Bond" if compound else {2: "Bond", 3: "Angle", 4: "Torsion"}[atoms]
    force = openmm.CustomCompoundBondForce(atoms, energy) if compound else kind.force(energy)
    for parameter in kind.parameters:
        getattr(force, f"addPer{name}Parameter")(parameter)
    for indices, values in terms:
        if compound:
            force.addBond(indices, values)
        else:
            getattr(force, f"add{name}")(*indices, values)
    return force
