"""Periodic boxes: SPC/Fw water and solvated peptides with particle-mesh Ewald."""

from dataclasses import replace
from pathlib import Path

import ase.build
import ase.io
import numpy as np
import openmm
import pytest
from ase import Atoms
from scipy.spatial.transform import Rotation

from forgefield.labelers.frame_files import read_frames
from forgefield.labelers.frame_molecules import Geometries, geometries_of
from forgefield.labelers.labeler import Labeler
from forgefield.labelers.molecules import find_molecule
from forgefield.labelers.openmm_fields import SpcFwLabeler
from forgefield.labelers.periodic import refuse_bad_cell, standard_form, whole_molecules
from forgefield.labelers.registry import labeler_for
from forgefield.storage.errors import BadConfiguration, InputError
from forgefield.storage.records import Array, Configuration, Label

METHOD = "SPC/Fw, cutoff 4"
SPACING = 3.11  # one water in this cube is liquid density


def water_box(side: int, seed: int = 0) -> Atoms:
    """`side`³ waters on a grid, each turned at random, shaken, and wrapped into the box."""
    random = np.random.default_rng(seed)
    water = ase.build.molecule("H2O")
    box = Atoms(cell=[side * SPACING] * 3, pbc=True)
    for place in np.ndindex(side, side, side):
        one = water.copy()
        one.positions = Rotation.random(rng=random).apply(one.positions)
        one.positions += SPACING * np.array(place) + random.normal(0, 0.02, (3, 3))
        box += one
    box.wrap()
    return box


def read(atoms: Atoms, folder: Path) -> Geometries:
    ase.io.write(folder / "box.xyz", atoms, format="extxyz")
    return geometries_of(read_frames(folder / "box.xyz"), bonds=True)


def prepared(geometries: Geometries, method: str = METHOD) -> Labeler:
    labeler = labeler_for(method)
    for molecule in geometries.molecules.values():
        labeler.prepare(molecule)
    return labeler


def labelled(shape: Configuration, labeler: Labeler) -> tuple[float, Array]:
    label: Label = labeler.label(shape)
    assert label.forces_A3 is not None
    return label.energy, label.forces_A3


@pytest.fixture(scope="module")
def shape(tmp_path_factory: pytest.TempPathFactory) -> Configuration:
    return read(water_box(3), tmp_path_factory.mktemp("box")).configurations[0]


@pytest.fixture(scope="module")
def labeler(tmp_path_factory: pytest.TempPathFactory) -> Labeler:
    return prepared(read(water_box(3), tmp_path_factory.mktemp("labeler")))


def test_forces_are_slopes_of_the_energy(shape: Configuration, labeler: Labeler) -> None:
    _, forces = labelled(shape, labeler)
    step = 1e-4
    for atom, axis in ((0, 0), (17, 2), (80, 1)):
        sides = []
        for sign in (1, -1):
            moved = shape.positions_A3.copy()
            moved[atom, axis] += sign * step
            sides.append(labelled(replace(shape, positions_A3=moved), labeler)[0])
        assert forces[atom, axis] == pytest.approx(-(sides[0] - sides[1]) / (2 * step), abs=1e-5)


def test_images_and_rotations_are_the_same_box(shape: Configuration, labeler: Labeler) -> None:
    energy, forces = labelled(shape, labeler)
    cell = shape.cell_33
    assert cell is not None
    steps = np.random.default_rng(1).integers(-2, 3, size=(len(shape.numbers), 3))
    turn = Rotation.random(rng=np.random.default_rng(2)).as_matrix()
    skewed = cell.copy()
    skewed[2] += cell[0]
    variants = {
        "images": (shape.positions_A3 + steps @ cell, cell, np.eye(3)),
        "moved": (shape.positions_A3 + 1.234, cell, np.eye(3)),
        "turned": (shape.positions_A3 @ turn, cell @ turn, turn),
        "other vectors of the same lattice": (shape.positions_A3, skewed, np.eye(3)),
    }
    for name, (positions, vectors, rotation) in variants.items():
        there = replace(shape, positions_A3=positions, cell_33=vectors)
        found = labelled(there, labeler)
        assert found[0] == pytest.approx(energy, abs=2e-4), name
        np.testing.assert_allclose(found[1], forces @ rotation, atol=5e-4, err_msg=name)


def test_a_doubled_box_has_twice_the_energy(tmp_path: Path) -> None:
    small = water_box(3)
    single, double = read(small, tmp_path), read(small.repeat((1, 1, 2)), tmp_path)
    energy, forces = labelled(single.configurations[0], prepared(single))
    twice, pair = labelled(double.configurations[0], prepared(double))
    assert twice == pytest.approx(2 * energy, rel=5e-3)  # OpenMM's tail correction has n(n + 1)/2
    np.testing.assert_allclose(pair[: len(forces)], forces, atol=2e-3)


def scaled(shape: Configuration, factor: float) -> Configuration:
    """The box and its molecules' places by `factor`, each molecule as it was."""
    assert shape.cell_33 is not None
    whole = whole_molecules(shape.numbers, shape.positions_A3, shape.cell_33).reshape(-1, 3, 3)
    moved = whole + (factor - 1) * whole[:, :1]
    return replace(shape, positions_A3=moved.reshape(-1, 3), cell_33=factor * shape.cell_33)


def test_a_label_does_not_depend_on_what_was_labelled_before(tmp_path: Path) -> None:
    found = read(water_box(3), tmp_path)
    (molecule,) = found.molecules.values()
    boxes = [scaled(found.configurations[0], factor) for factor in (1, 1.06, 1.5, 2.2)]
    fresh = []
    for box in boxes:
        labeler = labeler_for(METHOD)
        labeler.prepare(replace(molecule, positions_A3=box.positions_A3, cell_33=box.cell_33))
        fresh.append(labelled(box, labeler))
    shared = prepared(found)
    for place in (3, 0, 1, 2, 1, 3, 0):
        energy, forces = labelled(boxes[place], shared)
        assert energy == pytest.approx(fresh[place][0], abs=1e-9)
        np.testing.assert_allclose(forces, fresh[place][1], atol=1e-9)


def test_the_mesh_is_the_one_that_openmm_chooses(tmp_path: Path) -> None:
    for side, factor in ((3, 1.0), (3, 1.37), (4, 1.0)):
        found = read(water_box(side), tmp_path)
        box = scaled(found.configurations[0], factor)
        (molecule,) = found.molecules.values()
        molecule = replace(molecule, positions_A3=box.positions_A3, cell_33=box.cell_33)
        labeler = labeler_for(METHOD)
        assert isinstance(labeler, SpcFwLabeler)
        system = labeler.field(molecule).system
        (force,) = (f for f in system.getForces() if isinstance(f, openmm.NonbondedForce))
        context = labeler.context(system)
        alpha, *points = force.getPMEParametersInContext(context)
        assert molecule.cell_33 is not None
        ours = labeler.mesh(standard_form(molecule.cell_33)[0])
        assert alpha == pytest.approx(ours.alpha, rel=1e-12)
        assert points == list(ours.points)


def test_a_label_says_no_torque_and_forces_nearly_cancel(
    shape: Configuration, labeler: Labeler
) -> None:
    diagnostics = labeler.label(shape).provenance.diagnostics
    assert set(diagnostics) == {"residual_force"}
    assert diagnostics["residual_force"] < 0.02


def test_a_cluster_in_a_large_box_is_a_cluster(tmp_path: Path) -> None:
    cluster = water_box(2)
    shape = read(cluster, tmp_path).configurations[0]
    assert shape.cell_33 is not None
    whole = whole_molecules(shape.numbers, shape.positions_A3, shape.cell_33)
    free = Atoms(shape.numbers, whole)
    boxed = Atoms(shape.numbers, whole, cell=[70] * 3, pbc=True)
    found = [read(atoms, tmp_path) for atoms in (free, boxed)]
    energies, forces = zip(
        *(
            labelled(each.configurations[0], prepared(each, method))
            for each, method in zip(found, ("SPC/Fw", "SPC/Fw, cutoff 25"), strict=True)
        ),
        strict=True,
    )
    assert energies[1] == pytest.approx(energies[0], abs=2e-3)
    np.testing.assert_allclose(forces[1], forces[0], atol=1e-3)


def test_the_usual_cutoff_has_no_place_in_the_name() -> None:
    assert labeler_for("spc/fw, cutoff 9").method.name == "SPC/Fw"
    assert labeler_for("amber14,cutoff 8.5").method.name == "amber14, cutoff 8.5"
    assert labeler_for("SPC/Fw, cutoff 6, energy only").method.name == (
        "SPC/Fw, cutoff 6, energy only"
    )


def test_molecules_cut_by_the_walls_are_made_whole() -> None:
    box = water_box(3)
    cell = np.array(box.cell)
    whole = whole_molecules(tuple(box.numbers.tolist()), box.positions, cell)
    bonds = np.linalg.norm(whole.reshape(-1, 3, 3)[:, 1:] - whole.reshape(-1, 3, 3)[:, :1], axis=-1)
    assert bonds.max() < 1.2
    assert np.abs(box.positions - whole).max() > 1
    steps = (whole - box.positions) @ np.linalg.inv(cell)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-12)


def test_the_standard_form_is_what_openmm_accepts() -> None:
    cell = np.array([[9.0, 1.0, -2.0], [3.0, 8.0, 1.0], [4.0, 5.0, 10.0]])
    vectors, rotation = standard_form(cell)
    np.testing.assert_allclose(vectors[np.triu_indices(3, 1)], 0, atol=1e-12)
    assert (np.diagonal(vectors) > 0).all()
    assert np.linalg.det(rotation) == pytest.approx(1)
    assert np.linalg.det(vectors) == pytest.approx(np.linalg.det(cell))
    steps = vectors @ np.linalg.inv(cell @ rotation)
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-10)
    assert vectors[0, 0] >= 2 * abs(vectors[1, 0]) - 1e-12
    assert vectors[1, 1] >= 2 * abs(vectors[2, 1]) - 1e-12


def test_narrow_flat_and_left_handed_boxes_are_refused(
    tmp_path: Path, shape: Configuration, labeler: Labeler
) -> None:
    geometries = read(water_box(3), tmp_path)
    with pytest.raises(InputError, match=r"9.33 Å wide.*', cutoff 4.6'"):
        prepared(geometries, "SPC/Fw")
    for cell in (np.diag([9.0, 9.0, 0.0]), np.diag([9.0, 9.0, -9.0])):
        with pytest.raises(InputError, match="right-handed"):
            refuse_bad_cell(cell, 4.0)
    assert shape.cell_33 is not None
    with pytest.raises(BadConfiguration, match="wide"):
        labeler.label(replace(shape, cell_33=0.8 * shape.cell_33))


@pytest.mark.parametrize("method", ["GFN2-xTB", "MMFF94", "HF/STO-3G", "CCSD(T)/cc-pVDZ"])
def test_other_methods_refuse_boxes_before_anything_is_spent(method: str, tmp_path: Path) -> None:
    water = Atoms("OH2", [[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]], cell=[20] * 3, pbc=True)
    geometries = read(water, tmp_path)
    molecule = next(iter(geometries.molecules.values()))
    with pytest.raises(InputError, match="not periodic boxes"):
        labeler_for(method).check(molecule)
    with pytest.raises(BadConfiguration, match="not periodic boxes"):
        labeler_for(method).label(geometries.configurations[0])


def test_a_cutoff_is_for_boxes() -> None:
    with pytest.raises(InputError, match="free space"):
        labeler_for(METHOD).prepare(find_molecule("O"))
    with pytest.raises(InputError, match="cutoff of 99"):
        labeler_for("SPC/Fw, cutoff 99")


def test_images_of_atoms_that_overlap_are_refused(shape: Configuration, labeler: Labeler) -> None:
    assert shape.cell_33 is not None
    moved = shape.positions_A3.copy()
    moved[3] = moved[0] + shape.cell_33[1] + 0.1
    with pytest.raises(BadConfiguration, match="apart"):
        labeler.label(replace(shape, positions_A3=moved))


def test_slabs_are_refused(tmp_path: Path) -> None:
    box = water_box(2)
    box.pbc = (True, True, False)
    with pytest.raises(InputError, match="some directions only"):
        read(box, tmp_path)
