"""What labels by force fields have in common: one OpenMM context a molecule, built once.

In a box, one for each mesh of particle-mesh Ewald, which follows from the box alone.

Bonds aren't part of a configuration: `prepare` hands them over with the molecule. Without it, a
configuration whose molecule is a name or a SMILES is looked up. A label takes microseconds, so
calls are batched; it always takes one thread.
"""

from abc import abstractmethod
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import openmm
from numpy.typing import NDArray

from forgefield.labelers.costs import PROCESS_BYTES, SPREAD
from forgefield.labelers.ewald_mesh import Mesh
from forgefield.labelers.labeler import DEFAULT_MEMORY_BYTES, Computed, Estimate, Labeler
from forgefield.labelers.molecules import find_molecule
from forgefield.labelers.openmm_terms import reference_context
from forgefield.labelers.periodic import BondTree, standard_form
from forgefield.labelers.programs import need
from forgefield.storage.errors import InputError
from forgefield.storage.records import Array, Configuration, Method, Molecule, Tier
from forgefield.storage.units import EV_PER_KJ_PER_MOL

NM_PER_ANGSTROM = 0.1
BASE_S = 9e-5
BOX_ATOM_S, BOX_PAIRS = 7e-6, 60
"""Seconds an atom (5.4 ms for 648, 22 ms for 3000) and listed pairs an atom of a periodic box."""
CONTEXTS = 8
"""Kept of a molecule: boxes of a trajectory at constant pressure need a few meshes in turn."""
PAIR_BYTES = 500
"""A listed pair of atoms while its system is built (seen: 330)."""


@dataclass(frozen=True, slots=True)
class Field:
    """A parametrised molecule: its particles are the molecule's atoms in the order `order_A`.

    `bonds` is what holds the molecules of a periodic box together.
    """

    system: openmm.System
    order_A: tuple[int, ...]
    bonds: BondTree | None = None


class ForceFieldLabeler(Labeler):
    """Subclasses fill in `field`, their name, and the seconds an atom and a pair of atoms cost.

    Seconds were measured on one idle core; `BASE_S` is bookkeeping.
    """

    program = "OpenMM"
    batch = 1000
    name: ClassVar[str]
    atom_s: ClassVar[float]
    pair_s: ClassVar[float]

    def __init__(
        self, memory_bytes: int = DEFAULT_MEMORY_BYTES, *, energy_only: bool = False
    ) -> None:
        method = Method(Tier.EMPIRICAL, self.name)
        super().__init__(method, memory_bytes, energy_only=energy_only)
        self._prepared: dict[str, _Prepared] = {}

    @abstractmethod
    def field(self, molecule: Molecule) -> Field:
        """The molecule with its parameters; `InputError` where the force field has none."""

    @property
    def version(self) -> str:
        """Versions of OpenMM, which computes, and RDKit, which finds bonds or parameters."""
        import rdkit

        return f"{openmm.Platform.getOpenMMVersion()} (RDKit {rdkit.__version__})"

    def available(self) -> None:
        """Raise `MissingProgram` without OpenMM or RDKit."""
        need("openmm", self.method.name)
        need("rdkit", self.method.name)

    def check(self, molecule: Molecule) -> None:
        """Closed shells with parameters for every atom."""
        super().check(molecule)
        self._checked(molecule)

    def estimate(self, molecule: Molecule, threads: int = 1) -> Estimate:
        """A fit to measured times, the building of the context left out; one thread works."""
        atoms = len(molecule.numbers)
        if molecule.cell_33 is None:
            seconds, pairs = self.atom_s * atoms + self.pair_s * atoms**2, atoms**2 // 2
        else:
            seconds, pairs = BOX_ATOM_S * atoms, BOX_PAIRS * atoms
        seconds = threads * (seconds + BASE_S)
        memory_bytes = PROCESS_BYTES + PAIR_BYTES * pairs
        return Estimate(seconds, seconds / SPREAD, seconds * SPREAD, memory_bytes)

    def threads_set(self, threads: int) -> AbstractContextManager[None]:  # noqa: ARG002
        """Nothing: a context has one thread, and setting others would cost more than a label."""
        return nullcontext()

    def prepare(self, molecule: Molecule) -> None:
        """Build the molecule's context, for its configurations to come."""
        found = self._checked(molecule)
        order_A = np.array(found.order_A, dtype=np.intp)
        made = _Prepared(molecule.numbers, order_A, found.system, found.bonds)
        cell_33 = molecule.cell_33
        self._context(made, None if cell_33 is None else standard_form(cell_33)[0])
        self._prepared[molecule.name] = made

    def refuse_bad_box(self, cell_33: Array) -> None:
        """Raise `BadConfiguration` for a cell that a `periodic` labeler can't have."""

    def mesh(self, vectors_33: Array) -> Mesh | None:  # noqa: ARG002
        """How charges are summed in a box with these vectors in standard form, if it matters."""
        return None

    def context(self, system: openmm.System) -> openmm.Context:
        """Where the system is computed: the Reference platform, in double precision."""
        return reference_context(system, openmm.VerletIntegrator(0.001))

    def compute(self, configuration: Configuration, threads: int) -> Computed:  # noqa: ARG002
        """Energy in eV, forces in eV/Å unless `energy_only`."""
        prepared = self._of(configuration)
        context, rotation_33 = self._placed(prepared, configuration)
        state = context.getState(energy=True, forces=not self.energy_only)
        energy_kj = state.getPotentialEnergy()._value  # noqa: SLF001
        if self.energy_only:
            return Computed(float(energy_kj) * EV_PER_KJ_PER_MOL, None)
        forces_A3 = np.empty_like(configuration.positions_A3)
        forces_A3[prepared.order_A] = state.getForces(asNumpy=True)._value  # noqa: SLF001
        if rotation_33 is not None:
            forces_A3 = forces_A3 @ rotation_33.T
        return Computed(
            energy=float(energy_kj) * EV_PER_KJ_PER_MOL,
            forces_A3=forces_A3 * (EV_PER_KJ_PER_MOL * NM_PER_ANGSTROM),
        )

    def _placed(
        self, prepared: "_Prepared", configuration: Configuration
    ) -> tuple[openmm.Context, Array | None]:
        """The context with atoms and box; the rotation in which a box had to be turned."""
        positions_A3, rotation_33 = configuration.positions_A3, None
        cell_33, vectors_33 = configuration.cell_33, None
        if cell_33 is not None and prepared.bonds is not None:
            self.refuse_bad_box(cell_33)
            positions_A3 = prepared.bonds.whole(positions_A3, cell_33)
            vectors_33, rotation_33 = standard_form(cell_33)
            positions_A3 = positions_A3 @ rotation_33
        context = self._context(prepared, vectors_33)
        if vectors_33 is not None:
            context.setPeriodicBoxVectors(*(vectors_33 * NM_PER_ANGSTROM).tolist())
        context.setPositions(positions_A3[prepared.order_A] * NM_PER_ANGSTROM)
        return context, rotation_33

    def _context(self, prepared: "_Prepared", vectors_33: Array | None) -> openmm.Context:
        """The context with the mesh of this box, so that no label depends on an earlier one."""
        mesh = None if vectors_33 is None else self.mesh(vectors_33)
        contexts = prepared.contexts
        if mesh not in contexts:
            if mesh is not None:
                mesh.set_in(prepared.system)
            while len(contexts) >= CONTEXTS:
                del contexts[next(iter(contexts))]
            contexts[mesh] = self.context(prepared.system)
        contexts[mesh] = contexts.pop(mesh)
        return contexts[mesh]

    def _checked(self, molecule: Molecule) -> Field:
        if molecule.multiplicity != 1:
            raise InputError(
                f"{self.method.name} has no parameters for radicals ({molecule.name} has "
                f"multiplicity {molecule.multiplicity}); leave the {self.name} tier out"
            )
        return self.field(molecule)

    def _of(self, configuration: Configuration) -> "_Prepared":
        if configuration.molecule not in self._prepared:
            self.prepare(find_molecule(configuration.molecule))
        prepared = self._prepared[configuration.molecule]
        in_box = configuration.cell_33 is not None
        if prepared.numbers != configuration.numbers or in_box != (prepared.bonds is not None):
            raise InputError(
                f"configuration of {configuration.molecule} with other atoms, in another order or "
                "in no such box, than the molecule that was prepared; call prepare(molecule) first"
            )
        return prepared


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    numbers: tuple[int, ...]
    order_A: NDArray[np.intp]
    system: openmm.System
    bonds: BondTree | None
    contexts: dict[Mesh | None, openmm.Context] = field(default_factory=dict)
    """By mesh, the last used last."""
