"""Our OpenMM system has RDKit's MMFF94 energies and forces for every molecule with a name."""

import numpy as np
import openmm
import pytest
from rdkit import Chem
from rdkit.Chem import rdForceFieldHelpers

from forgefield.labelers.chemgraph import graph_of
from forgefield.labelers.mmff import KJ_PER_KCAL, mmff_system, reference_context
from forgefield.labelers.molecules import NAMES, find_molecule
from forgefield.storage.records import Array

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


def rdkit_kcal(graph: Chem.Mol, positions_A3: Array) -> tuple[float, Array]:
    graph.GetConformer().SetPositions(np.ascontiguousarray(positions_A3))
    properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(graph, "MMFF94")
    field = rdForceFieldHelpers.MMFFGetMoleculeForceField(graph, properties)
    return field.CalcEnergy(), -np.array(field.CalcGrad()).reshape(-1, 3)


def openmm_kcal(context: openmm.Context, positions_A3: Array) -> tuple[float, Array]:
    context.setPositions(positions_A3 / 10)
    state = context.getState(energy=True, forces=True)
    energy = state.getPotentialEnergy()._value / KJ_PER_KCAL
    return energy, state.getForces(asNumpy=True)._value / KJ_PER_KCAL / 10


@pytest.mark.parametrize("name", [*sorted(NAMES), *UNUSUAL])
def test_energies_and_forces_equal_rdkits(name: str) -> None:
    molecule = find_molecule(name)
    context = reference_context(mmff_system(molecule), openmm.VerletIntegrator(0.001))
    graph = graph_of(molecule)
    generator = np.random.default_rng(7)
    for amplitude in (0.02, 0.05, 0.1, 0.2, 0.3):
        noise_A3 = generator.normal(0, amplitude, molecule.positions_A3.shape)
        positions_A3 = molecule.positions_A3 + noise_A3
        energy, forces_A3 = openmm_kcal(context, positions_A3)
        expected, expected_A3 = rdkit_kcal(graph, positions_A3)
        assert energy == pytest.approx(expected, rel=AGREEMENT)
        assert np.abs(forces_A3 - expected_A3).max() < AGREEMENT * np.abs(expected_A3).max()


@pytest.mark.parametrize("name", sorted(NAMES))
def test_energies_at_the_minimum_equal_rdkits(name: str) -> None:
    """Forces vanish there, so only the energy is compared relatively."""
    molecule = find_molecule(name)
    context = reference_context(mmff_system(molecule), openmm.VerletIntegrator(0.001))
    energy, forces_A3 = openmm_kcal(context, molecule.positions_A3)
    expected, expected_A3 = rdkit_kcal(graph_of(molecule), molecule.positions_A3)
    assert energy == pytest.approx(expected, rel=AGREEMENT, abs=1e-9)
    np.testing.assert_allclose(forces_A3, expected_A3, atol=1e-5)
