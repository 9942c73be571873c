"""Force fields that OpenMM knows by templates of residues: amber14 and SPC/Fw water.

In free space: no cutoff, no constraints, every pair of atoms. In a periodic box: particle-mesh
Ewald (relative error 1e-5), Lennard-Jones interactions up to the cutoff, 9 Å unless the method says
another (`SPC/Fw, cutoff 6`), with the correction for what lies beyond. Residues are found by
elements and bonds (`residues`), so names in a file mean nothing and peptides may come as SMILES.

amber14: J. A. Maier and others, J. Chem. Theory Comput. 11, 3696 (2015), ff14SB for proteins, with
OL15 and OL3 for nucleic acids, as in OpenMM's `amber14-all.xml`. SPC/Fw: `spc_fw.xml`.
"""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import openmm
from openmm import app, unit

from forgefield.labelers.chemgraph import shown
from forgefield.labelers.ewald_mesh import Mesh
from forgefield.labelers.force_field_labeler import NM_PER_ANGSTROM, Field, ForceFieldLabeler
from forgefield.labelers.labeler import DEFAULT_MEMORY_BYTES
from forgefield.labelers.periodic import BondTree, refuse_bad_cell, standard_form, whole_molecules
from forgefield.labelers.residues import described, topology
from forgefield.storage.errors import BadConfiguration, InputError
from forgefield.storage.records import Array, Molecule

CPU_FROM = 250
"""Atoms from which OpenMM's CPU platform, partly in single precision, is the faster one.

Milliseconds, Reference and CPU, one thread: peptides of 22 atoms 0.03 and 0.31, of 262 atoms 0.58
and 0.55, of 582 atoms 2.6 and 1.4; 27 waters 0.06 and 0.27, 125 waters 0.95 and 0.35, 343 waters
6.9 and 2.1. Largest difference of a force: 1e-5 eV/Å."""


DEFAULT_CUTOFF_A = 9.0
"""Of Lennard-Jones interactions in a box, as in the paper on SPC/Fw."""
EWALD_TOLERANCE = 1e-5


class TemplateLabeler(ForceFieldLabeler):
    """Subclasses name the file of templates and what to do about a residue without one."""

    templates: ClassVar[str]
    remedy: ClassVar[str]
    periodic = True

    def __init__(
        self,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        *,
        cutoff_A: float | None = None,
        energy_only: bool = False,
    ) -> None:
        super().__init__(memory_bytes, energy_only=energy_only)
        self.cutoff_A = DEFAULT_CUTOFF_A if cutoff_A is None else cutoff_A
        self._cutoff_stated = self.cutoff_A != DEFAULT_CUTOFF_A
        if self._cutoff_stated:
            name = self.method.name.replace(self.name, f"{self.name}, cutoff {self.cutoff_A:g}", 1)
            self.method = replace(self.method, name=name)

    def field(self, molecule: Molecule) -> Field:
        """Parameters of the templates that fit; `InputError` names the first residue without."""
        box = self._box(molecule)
        if molecule.cell_33 is not None:
            positions_A3 = whole_molecules(
                molecule.numbers, molecule.positions_A3, molecule.cell_33
            )
            molecule = replace(molecule, positions_A3=positions_A3)
        made, order_A = topology(molecule)
        if molecule.cell_33 is not None:
            vectors_33 = standard_form(molecule.cell_33)[0] * NM_PER_ANGSTROM
            made.setPeriodicBoxVectors([openmm.Vec3(*row) for row in vectors_33.tolist()])
        loaded = _loaded(self.templates)
        try:
            system = loaded.createSystem(made, rigidWater=False, removeCMMotion=False, **box)
        except ValueError as error:
            unmatched = loaded.getUnmatchedResidues(made)
            if not unmatched:
                raise
            reason = str(error).partition(").")[2].strip().partition(".  ")[0]
            raise InputError(
                f"{self.name} has no template for {described(unmatched[0])} of "
                f"{shown(molecule.name)}. {reason}; {self.remedy}"
            ) from error
        self._refuse_other_charge(molecule, system)
        bonds = None if molecule.cell_33 is None else _tree(made, order_A)
        return Field(system, order_A, bonds)

    def refuse_bad_box(self, cell_33: Array) -> None:
        """Raise `BadConfiguration` for a flat, left-handed or narrow cell."""
        try:
            refuse_bad_cell(cell_33, self.cutoff_A)
        except InputError as error:
            raise BadConfiguration(str(error)) from error

    def mesh(self, vectors_33: Array) -> Mesh:
        """The mesh that OpenMM would choose for this box."""
        return Mesh.of(vectors_33, self.cutoff_A, EWALD_TOLERANCE)

    def _box(self, molecule: Molecule) -> dict[str, object]:
        """What `createSystem` is told of the surroundings; `InputError` for a bad cell."""
        if molecule.cell_33 is None:
            if self._cutoff_stated:
                raise InputError(
                    f"{self.method.name}: a cutoff is for periodic boxes, and "
                    f"{shown(molecule.name)} is in free space; leave it out"
                )
            return {"nonbondedMethod": app.NoCutoff}
        refuse_bad_cell(molecule.cell_33, self.cutoff_A)
        return {
            "nonbondedMethod": app.PME,
            "nonbondedCutoff": self.cutoff_A * NM_PER_ANGSTROM,
            "ewaldErrorTolerance": EWALD_TOLERANCE,
        }

    def context(self, system: openmm.System) -> openmm.Context:
        """The faster platform for this many particles, with one thread and always the same sum."""
        if system.getNumParticles() < CPU_FROM:
            return super().context(system)
        settings = {"Threads": "1", "DeterministicForces": "true"}
        platform = openmm.Platform.getPlatformByName("CPU")
        return openmm.Context(system, openmm.VerletIntegrator(0.001), platform, settings)

    def _refuse_other_charge(self, molecule: Molecule, system: openmm.System) -> None:
        charge = total_charge(system)
        if charge != molecule.charge:
            raise InputError(
                f"the residues of {shown(molecule.name)} carry the charge {charge:+d} in all, the "
                f"molecule {molecule.charge:+d}; state the charge {charge:+d} or mend the hydrogens"
            )


class Amber14Labeler(TemplateLabeler):
    """Peptides and proteins; nucleic acids too."""

    name = "amber14"
    atom_s, pair_s = 1e-6, 2.5e-9
    """0.11 ms for alanine dipeptide, 0.16 ms for 62 atoms, 1.8 ms for 582."""
    templates = "amber14-all.xml"
    remedy = (
        "amber14 knows the natural amino acids with all hydrogens, chain ends charged (NH3+, COO-) "
        "or capped (acetyl, N-methyl, NH2), and nucleic acids; mend the hydrogens or leave the "
        "amber14 tier out"
    )


class SpcFwLabeler(TemplateLabeler):
    """Clusters and boxes of flexible water."""

    name = "SPC/Fw"
    atom_s, pair_s = 1e-6, 2.5e-9
    """0.10 ms for 8 waters, 0.16 ms for 27, 0.84 ms for 125, 3.8 ms for 343."""
    templates = str(Path(__file__).with_name("spc_fw.xml"))
    remedy = "SPC/Fw is a model of water alone, H2O as whole molecules; leave the SPC/Fw tier out"


def _tree(made: app.Topology, order_A: tuple[int, ...]) -> BondTree:
    pairs = [(order_A[bond.atom1.index], order_A[bond.atom2.index]) for bond in made.bonds()]
    return BondTree.of(np.array(pairs, dtype=np.intp).reshape(-1, 2), len(order_A))


@lru_cache(maxsize=4)
def _loaded(templates: str) -> app.ForceField:
    return app.ForceField(templates)


def total_charge(system: openmm.System) -> int:
    """Sum of the partial charges, e, rounded."""
    force = next(f for f in system.getForces() if isinstance(f, openmm.NonbondedForce))
    charges = (force.getParticleParameters(i)[0] for i in range(force.getNumParticles()))
    return round(float(sum(charge.value_in_unit(unit.elementary_charge) for charge in charges)))
