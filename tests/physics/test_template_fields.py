"""amber14 and SPC/Fw: energies against OpenMM's own reading of names, and published formulas."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import openmm
import pytest
from openmm import app, unit

from forgefield.labelers.labeler import Labeler
from forgefield.labelers.molecules import find_molecule
from forgefield.labelers.openmm_fields import CPU_FROM
from forgefield.labelers.registry import labeler_for
from forgefield.labelers.residues import topology
from forgefield.storage.errors import InputError
from forgefield.storage.records import Array, Configuration, Label, Molecule
from forgefield.storage.units import EV_PER_KCAL_PER_MOL, EV_PER_KJ_PER_MOL

ALANINE_DIPEPTIDE = Path(__file__).with_name("alanine_dipeptide.pdb")
CAPPED = "CC(=O)N[CH](C)C(=O)NC"
PEPTIDES = {
    CAPPED: ["ACE", "ALA", "NME"],
    "[NH3+]CC(=O)N[CH](CC(N)=O)C(=O)N1CCC[C@H]1C(=O)[O-]": ["NGLY", "ASN", "CPRO"],
    "CC(=O)N[CH](CCC(N)=O)C(N)=O": ["ACE", "GLN", "NHE"],
    "CC(=O)N[CH](Cc1c[nH]cn1)C(=O)NC": ["ACE", "HIE", "NME"],
    "CC(=O)N[CH](CSSC[C@H](NC(C)=O)C(=O)NC)C(=O)NC": ["ACE", "CYX", "NME"] * 2,
    "O=C1CNC(=O)CN1": ["GLY", "GLY"],
    "OC[C@H]1O[CH](n2ccc(=O)[nH]c2=O)[C@H](O)[CH]1OP(=O)([O-])OC[C@H]1O[CH](n2ccc(N)nc2=O)"
    "[C@H](O)[CH]1O": ["U5", "C3"],
}


def at(molecule: Molecule, positions_A3: Array) -> Configuration:
    return Configuration(molecule.name, molecule.numbers, positions_A3, molecule.charge)


def labelled(labeler: Labeler, molecule: Molecule) -> Label:
    labeler.prepare(molecule)
    return labeler.label(at(molecule, molecule.positions_A3))


def direct(field: app.ForceField, pdb: app.PDBFile) -> tuple[float, Array]:
    """Energy (eV) and forces (eV/Å) by names of residues, double precision."""
    system = field.createSystem(pdb.topology, nonbondedMethod=app.NoCutoff, rigidWater=False)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions(pdb.positions)
    state = context.getState(energy=True, forces=True)
    energy = state.getPotentialEnergy()._value * EV_PER_KJ_PER_MOL
    return energy, state.getForces(asNumpy=True)._value * EV_PER_KJ_PER_MOL / 10


@pytest.fixture(scope="module")
def amber14() -> Labeler:
    return labeler_for("amber14")


@pytest.fixture(scope="module")
def protein(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Villin's headpiece, 582 atoms, from the example that OpenMM brings along."""
    pdb = app.PDBFile(str(Path(app.__file__).parent / "data" / "test.pdb"))
    chosen = app.Modeller(pdb.topology, pdb.positions)
    chosen.deleteWater()
    chosen.delete([r for r in chosen.topology.residues() if len(list(r.atoms())) == 1])
    chosen.topology.setPeriodicBoxVectors(None)
    path = tmp_path_factory.mktemp("protein") / "villin.pdb"
    with path.open("w") as file:
        app.PDBFile.writeFile(chosen.topology, chosen.positions, file)
    return path


@pytest.mark.parametrize(("smiles", "names"), PEPTIDES.items())
def test_residues_are_found_without_names(smiles: str, names: list[str], amber14: Labeler) -> None:
    molecule = find_molecule(smiles)
    amber14.check(molecule)
    made, order_A = topology(molecule)
    found = app.ForceField("amber14-all.xml").getMatchingTemplates(made)
    assert [template.name for template in found] == names
    assert sorted(order_A) == list(range(len(molecule.numbers)))


def test_alanine_dipeptide_from_a_file_has_the_energy_of_its_names(amber14: Labeler) -> None:
    label = labelled(amber14, find_molecule(str(ALANINE_DIPEPTIDE)))
    pdb = app.PDBFile(str(ALANINE_DIPEPTIDE))
    energy, forces_A3 = direct(app.ForceField("amber14-all.xml"), pdb)
    assert label.energy == pytest.approx(energy, abs=1e-9)
    np.testing.assert_allclose(label.forces_A3, forces_A3, atol=1e-9)


def test_the_order_of_atoms_changes_nothing(amber14: Labeler) -> None:
    """The geometry of the file laid on itself in a shuffled order, bonds from distances."""
    molecule = find_molecule(str(ALANINE_DIPEPTIDE))
    plain = labelled(amber14, molecule)
    order_A = np.random.default_rng(3).permutation(len(molecule.numbers))
    shuffled = Molecule(
        "shuffled", tuple(molecule.numbers[i] for i in order_A), molecule.positions_A3[order_A]
    )
    label = labelled(amber14, shuffled)
    assert label.energy == pytest.approx(plain.energy, abs=1e-9)
    np.testing.assert_allclose(label.forces_A3, plain.forces_A3[order_A], atol=1e-9)


def test_a_protein_has_the_energy_of_its_names(amber14: Labeler, protein: Path) -> None:
    molecule = find_molecule(str(protein), charge=2)
    assert len(molecule.numbers) > CPU_FROM
    label = labelled(amber14, molecule)
    energy, forces_A3 = direct(app.ForceField("amber14-all.xml"), app.PDBFile(str(protein)))
    assert label.energy == pytest.approx(energy, abs=1e-4)
    np.testing.assert_allclose(label.forces_A3, forces_A3, atol=2e-5)
    again = amber14.label(at(molecule, molecule.positions_A3))
    np.testing.assert_array_equal(again.forces_A3, label.forces_A3)


def test_the_charge_of_the_residues_is_asked_for(amber14: Labeler, protein: Path) -> None:
    with pytest.raises(InputError, match=r"state the charge \+2"):
        amber14.check(find_molecule(str(protein)))


@pytest.mark.parametrize(
    ("method", "smiles", "reason"),
    [
        ("amber14", "CC(=O)N[CH](C)C(=O)O", r"residue 2 \(C3H6NO2: N4 C5 .*NH3\+, COO-"),
        ("amber14", "CCO", r"residue 1 \(C2H6O: C1 C2 O3 .*amino acids"),
        ("amber14", "O", "residue 1"),
        ("amber14", "C[CH2]", "radicals"),
        ("SPC/Fw", "CO", "water alone"),
        ("SPC/Fw", "[OH3+]", "water alone"),
    ],
)
def test_what_has_no_template_is_refused_by_name(method: str, smiles: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        labeler_for(method).check(find_molecule(smiles))


def test_missing_hydrogens_are_named(amber14: Labeler) -> None:
    whole = find_molecule(str(ALANINE_DIPEPTIDE))
    kept = [i for i in range(len(whole.numbers)) if i != 7]
    cut = Molecule("cut", tuple(whole.numbers[i] for i in kept), whole.positions_A3[kept])
    with pytest.raises(InputError, match=r"residue 2 .*missing 1 H atom"):
        amber14.check(cut)


def water_cluster(count: int) -> Molecule:
    made = app.Modeller(app.Topology(), [] * unit.nanometer)
    made.addSolvent(app.ForceField("tip3p.xml"), numAdded=count)
    positions_A3 = np.array(made.positions.value_in_unit(unit.angstrom))
    return Molecule(f"{count} waters", (8, 1, 1) * count, positions_A3)


def published_energy(positions_A3: Array) -> float:
    """SPC/Fw written out, eV: Wu, Tepper and Voth (2006), equation 1 and table I."""
    waters_W33 = positions_A3.reshape(-1, 3, 3)
    charges = np.tile([-0.82, 0.41, 0.41], len(waters_W33))
    arms_W23 = waters_W33[:, 1:] - waters_W33[:, :1]
    lengths_W2 = np.linalg.norm(arms_W23, axis=-1)
    cosines_W = np.prod(1 / lengths_W2, axis=1) * np.einsum("wx,wx->w", *arms_W23.swapaxes(0, 1))
    kcal = 1059.162 / 2 * ((lengths_W2 - 1.012) ** 2).sum()
    kcal += 75.90 / 2 * ((np.arccos(cosines_W) - np.radians(113.24)) ** 2).sum()
    for i in range(len(positions_A3)):
        for j in range(i // 3 * 3 + 3, len(positions_A3)):
            r = np.linalg.norm(positions_A3[i] - positions_A3[j])
            kcal += 332.06371 * charges[i] * charges[j] / r
            if i % 3 == j % 3 == 0:
                kcal += 4 * 0.1554253 * ((3.165492 / r) ** 12 - (3.165492 / r) ** 6)
    return float(kcal) * EV_PER_KCAL_PER_MOL


@pytest.mark.parametrize("count", [1, 8, 27])
def test_water_clusters_have_the_published_energy(count: int) -> None:
    molecule = water_cluster(count)
    noise_A3 = np.random.default_rng(0).normal(0, 0.03, molecule.positions_A3.shape)
    molecule = replace(molecule, positions_A3=molecule.positions_A3 + noise_A3)
    label = labelled(labeler_for("SPC/Fw"), molecule)
    assert label.energy == pytest.approx(published_energy(molecule.positions_A3), rel=1e-5)
