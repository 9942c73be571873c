"""MMFF94 labels through the OpenMM system. A label takes microseconds, so calls are batched.

Bonds aren't part of a configuration: `prepare` hands them over with the molecule. Without it, a
configuration whose molecule is a name or a SMILES is looked up.
"""

from contextlib import AbstractContextManager, nullcontext

import openmm

from forgefield.labelers.costs import mmff_estimate
from forgefield.labelers.labeler import DEFAULT_MEMORY_BYTES, Computed, Estimate, Labeler
from forgefield.labelers.mmff import mmff_system, reference_context
from forgefield.labelers.molecules import find_molecule
from forgefield.labelers.programs import need
from forgefield.storage.errors import InputError
from forgefield.storage.records import Configuration, Method, Molecule, Tier
from forgefield.storage.units import EV_PER_KJ_PER_MOL

NM_PER_ANGSTROM = 0.1


class Mmff94Labeler(Labeler):
    """The Merck molecular force field; RDKit's numbers to better than 1e-6."""

    program = "OpenMM"
    batch = 1000

    def __init__(
        self, memory_bytes: int = DEFAULT_MEMORY_BYTES, *, energy_only: bool = False
    ) -> None:
        method = Method(Tier.EMPIRICAL, "MMFF94")
        super().__init__(method, memory_bytes, energy_only=energy_only)
        self._contexts: dict[str, tuple[tuple[int, ...], openmm.Context]] = {}

    @property
    def version(self) -> str:
        """Versions of OpenMM, which computes, and RDKit, which parametrises."""
        import rdkit

        return f"{openmm.Platform.getOpenMMVersion()} (RDKit {rdkit.__version__})"

    def available(self) -> None:
        """Raise `MissingProgram` without OpenMM or RDKit."""
        need("openmm", self.method.name)
        need("rdkit", self.method.name)

    def check(self, molecule: Molecule) -> None:
        """Known bonds and parameters for every atom; spin means nothing to a force field."""
        if molecule.multiplicity != 1:
            raise InputError(
                f"MMFF94 has no parameters for radicals ({molecule.name} has multiplicity "
                f"{molecule.multiplicity}); leave the MMFF94 tier out"
            )
        mmff_system(molecule)

    def estimate(self, molecule: Molecule, threads: int = 1) -> Estimate:  # noqa: ARG002
        """See `costs.mmff_estimate`."""
        return mmff_estimate(molecule)

    def threads_set(self, threads: int) -> AbstractContextManager[None]:  # noqa: ARG002
        """The Reference platform has one thread; setting others would cost more than a label."""
        return nullcontext()

    def prepare(self, molecule: Molecule) -> None:
        """Build the molecule's system, for its configurations to come."""
        context = reference_context(mmff_system(molecule), openmm.VerletIntegrator(0.001))
        self._contexts[molecule.name] = (molecule.numbers, context)

    def compute(self, configuration: Configuration, threads: int) -> Computed:  # noqa: ARG002
        """Energy and forces, eV and eV/Å."""
        context = self._context(configuration)
        context.setPositions(configuration.positions_A3 * NM_PER_ANGSTROM)
        state = context.getState(energy=True, forces=True)
        energy_kj = state.getPotentialEnergy()._value  # noqa: SLF001
        forces_kj_nm = state.getForces(asNumpy=True)._value  # noqa: SLF001
        return Computed(
            energy=float(energy_kj) * EV_PER_KJ_PER_MOL,
            forces_A3=forces_kj_nm * (EV_PER_KJ_PER_MOL * NM_PER_ANGSTROM),
        )

    def _context(self, configuration: Configuration) -> openmm.Context:
        if configuration.molecule not in self._contexts:
            self.prepare(find_molecule(configuration.molecule))
        numbers, context = self._contexts[configuration.molecule]
        if numbers != configuration.numbers:
            raise InputError(
                f"configuration of {configuration.molecule} with other atoms, or in another "
                "order, than the molecule that was prepared; call prepare(molecule) first"
            )
        return context
