"""Our OpenMM systems have RDKit's MMFF94 and UFF energies and forces."""

from collections.abc import Callable

import numpy as np
import openmm
import pytest
from rdkit import Chem, rdBase
from rdkit.Chem import rdForceFieldHelpers

from forgefield.labelers.chemgraph import graph_of
from forgefield.labelers.mmff import mmff_system
from forgefield.labelers.molecules import NAMES, find_molecule
from forgefield.labelers.openmm_terms import KJ_PER_KCAL, reference_context
from forgefield.labelers.uff import uff_system
from forgefield.storage.records import Array, Molecule

AGREEMENT = 1e-6
UNUSUAL = (
    "CC#N",
    "C=C=C",
    "[NH4+]",
    "CC(=O)[O-]",
    "CS(=O)(=O)C",
    "C1CC1",
    "CN=[N+]=[N-]",
    "c1ccsc1",
)
UFF_ONLY = (
    *("CC=C", "C=CC", "OC=CC=O", "CC(=O)NC", "C=C(C)O", "CNC=C", "Cn1cccc1", "N#N", "[H][H]"),
    *("C1=CC1", "C1CC1=C", "O=C1CC1", "C1=CCC1", "C=C1CCC1"),
    *("COO", "CSSC", "CSC=C", "C[Se]C=C", "CP(C)C", "OP(=O)(O)O", "C[As](C)C"),
    *("FCCl", "CBr", "CI", "FC#C"),
    *("B(O)(O)O", "CB(C)C", "[BH4-]", "Cc1ccc(B(O)O)cc1"),
    *("C[Si](C)(C)C", "C[SiH]=C", "C[Ge](C)C", "F[Si-2](F)(F)(F)(F)F", "FP(F)(F)(F)F"),
)
Systems = Callable[[Molecule], openmm.System]


def mmff_of(graph: Chem.Mol) -> object:
    properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(graph, "MMFF94")
    return rdForceFieldHelpers.MMFFGetMoleculeForceField(graph, properties)


def rdkit_kcal(field: object, positions_A3: Array) -> tuple[float, Array]:
    flat = list(positions_A3.ravel())
    return field.CalcEnergy(flat), -np.array(field.CalcGrad(flat)).reshape(-1, 3)


def openmm_kcal(context: openmm.Context, positions_A3: Array) -> tuple[float, Array]:
    context.setPositions(positions_A3 / 10)
    state = context.getState(energy=True, forces=True)
    energy = state.getPotentialEnergy()._value / KJ_PER_KCAL
    return energy, state.getForces(asNumpy=True)._value / KJ_PER_KCAL / 10


def rdkit_field(system: Systems, molecule: Molecule) -> object:
    """RDKit's own force field, parametrised at the molecule's own geometry."""
    with rdBase.BlockLogs():
        graph = graph_of(molecule)
        made = mmff_of if system is mmff_system else rdForceFieldHelpers.UFFGetMoleculeForceField
        return made(graph)


CASES = [
    *((mmff_system, name) for name in (*sorted(NAMES), *UNUSUAL)),
    *((uff_system, name) for name in (*sorted(NAMES), *UNUSUAL, *UFF_ONLY)),
]


@pytest.mark.parametrize(("system", "name"), CASES)
def test_energies_and_forces_equal_rdkits(system: Systems, name: str) -> None:
    molecule = find_molecule(name)
    context = reference_context(system(molecule), openmm.VerletIntegrator(0.001))
    field = rdkit_field(system, molecule)
    generator = np.random.default_rng(7)
    for amplitude in (0.02, 0.05, 0.1, 0.2):
        noise_A3 = generator.normal(0, amplitude, molecule.positions_A3.shape)
        positions_A3 = molecule.positions_A3 + noise_A3
        energy, forces_A3 = openmm_kcal(context, positions_A3)
        expected, expected_A3 = rdkit_kcal(field, positions_A3)
        assert energy == pytest.approx(expected, rel=AGREEMENT)
        assert np.abs(forces_A3 - expected_A3).max() < AGREEMENT * np.abs(expected_A3).max()


@pytest.mark.parametrize("system", [mmff_system, uff_system])
@pytest.mark.parametrize("name", sorted(NAMES))
def test_energies_at_the_minimum_equal_rdkits(system: Systems, name: str) -> None:
    """MMFF94's forces vanish there, so only the energy is compared relatively."""
    molecule = find_molecule(name)
    context = reference_context(system(molecule), openmm.VerletIntegrator(0.001))
    energy, forces_A3 = openmm_kcal(context, molecule.positions_A3)
    expected, expected_A3 = rdkit_kcal(rdkit_field(system, molecule), molecule.positions_A3)
    assert energy == pytest.approx(expected, rel=AGREEMENT, abs=1e-9)
    np.testing.assert_allclose(forces_A3, expected_A3, atol=1e-5)
