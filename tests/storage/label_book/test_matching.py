"""Identity of geometries: moved and turned ones are the same, nothing else is."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from forgefield.labelers.molecules import find_molecule
from forgefield.labelers.registry import labeler_for
from forgefield.storage.geometry import SAME_GEOMETRY_A, pair_distances
from forgefield.storage.label_book.matching import fingerprints, rotation_between, turned
from forgefield.storage.records import Array, Configuration, Job, Purpose
from forgefield.storage.testing import CCSD

DISPLACEMENT_A = 2e-6
NUMBERS = (6, 1, 1, 8, 1, 7, 9, 17)
lengths = st.floats(-3, 3, allow_subnormal=False)
shapes = st.integers(1, 8).flatmap(lambda atoms: arrays(np.float64, (atoms, 3), elements=lengths))
solids = st.integers(5, 8).flatmap(lambda atoms: arrays(np.float64, (atoms, 3), elements=lengths))
seeds = st.integers(0, 2**32 - 1)
flattened = st.sampled_from(["as it is", "planar", "linear"])


def job_at(positions_A3: Array) -> Job:
    numbers = NUMBERS[: len(positions_A3)]
    return Job(Configuration("toy", numbers, positions_A3), CCSD, Purpose.TRAIN)


def moved(positions_A3: Array, seed: int) -> Array:
    random = np.random.default_rng(seed)
    turned_A3 = positions_A3 @ Rotation.random(rng=random).as_matrix()
    return turned_A3 + random.normal(scale=10, size=3)


def is_found(known_A3: Array, asked_A3: Array) -> bool:
    """As the book does it: a bucket, the features, the superposition."""
    known, asked = fingerprints([job_at(known_A3), job_at(asked_A3)])
    rotation = rotation_between(job_at(known_A3).configuration, job_at(asked_A3).configuration)
    return known.bucket in asked.buckets and asked.is_near(known) and rotation is not None


def chirality(positions_A3: Array) -> float:
    """The largest volume spanned by three of the vectors from the first atom, Å³."""
    arms = positions_A3[1:] - positions_A3[0]
    return max(
        abs(float(np.linalg.det(arms[[i, j, k]])))
        for i in range(len(arms))
        for j in range(i)
        for k in range(j)
    )


@given(shapes, seeds, flattened)
def test_turned_and_moved_geometries_are_found(positions_A3: Array, seed: int, flat: str) -> None:
    """Single atoms, linear and planar molecules, coinciding atoms: all of them."""
    positions_A3[:, {"as it is": [], "planar": [2], "linear": [1, 2]}[flat]] = 0
    asked_A3 = moved(positions_A3, seed)
    assert is_found(positions_A3, asked_A3)
    known, asked = job_at(positions_A3).configuration, job_at(asked_A3).configuration
    rotation = rotation_between(known, asked)
    assert rotation is not None
    assert np.linalg.det(rotation) == pytest.approx(1)
    back_A3 = (positions_A3 - positions_A3.mean(0)) @ rotation + asked_A3.mean(0)
    assert np.abs(back_A3 - asked_A3).max() < SAME_GEOMETRY_A


@given(solids, seeds)
def test_mirror_images_are_not_found(positions_A3: Array, seed: int) -> None:
    assume(chirality(positions_A3) > 1e-2)
    assert not is_found(positions_A3, moved(positions_A3 * [1, 1, -1], seed))


@given(shapes, seeds)
def test_mirror_images_of_planar_molecules_are_the_same(positions_A3: Array, seed: int) -> None:
    positions_A3[:, 2] = 0
    assert is_found(positions_A3, moved(positions_A3 * [-1, 1, 1], seed))


@given(solids, seeds, st.integers(0, 4))
def test_one_atom_displaced_is_another_geometry(positions_A3: Array, seed: int, atom: int) -> None:
    """Where a displacement changes no distance it is a rotation: those are left out."""
    other_A3 = positions_A3.copy()
    step = np.random.default_rng(seed).normal(size=3)
    other_A3[atom] += DISPLACEMENT_A * step / np.linalg.norm(step)
    before, after = pair_distances(np.array([positions_A3, other_A3]))
    assume(np.abs(before - after).max() > 2.1 * SAME_GEOMETRY_A)
    assert not is_found(positions_A3, moved(other_A3, seed))


@given(solids, seeds, st.integers(1, 4))
def test_permuted_atoms_are_another_geometry(positions_A3: Array, seed: int, by: int) -> None:
    other_A3 = np.roll(positions_A3, by, axis=0)
    before, after = pair_distances(np.array([positions_A3, other_A3]))
    assume(np.abs(before - after).max() > 1e-5)
    assert not is_found(positions_A3, moved(other_A3, seed))


@given(shapes, seeds)
def test_noise_below_the_tolerance_is_forgiven(positions_A3: Array, seed: int) -> None:
    noise = np.random.default_rng(seed).uniform(-1, 1, positions_A3.shape)
    other_A3 = positions_A3 + noise * SAME_GEOMETRY_A / 10
    assert is_found(positions_A3, moved(other_A3, seed))


def test_methane_is_found_whichever_way_it_lies_but_not_with_hydrogens_swapped() -> None:
    """Highly symmetric, then distorted: like atoms keep their places."""
    methane = find_molecule("methane")
    noise = np.random.default_rng(1).normal(scale=0.05, size=(5, 3))
    shape = Configuration("methane", methane.numbers, methane.positions_A3 + noise)
    swapped = replace(shape, positions_A3=shape.positions_A3[[0, 2, 1, 3, 4]])
    around = replace(shape, positions_A3=moved(shape.positions_A3, 3))
    assert rotation_between(shape, around) is not None
    assert rotation_between(shape, swapped) is None


@pytest.mark.parametrize(
    ("method", "force_noise", "name"),
    [
        ("MMFF94", 1e-8, "ethanol"),
        ("GFN2-xTB", 1e-5, "ethanol"),
        ("GFN2-xTB", 1e-5, "C#C"),
        ("GFN2-xTB", 1e-5, "benzene"),
    ],
)
def test_turned_forces_are_those_of_the_turned_geometry(
    method: str, force_noise: float, name: str
) -> None:
    molecule = find_molecule(name)
    labeler = labeler_for(method)
    labeler.prepare(molecule)
    known = Configuration(name, molecule.numbers, molecule.positions_A3 * 1.03)
    asked = replace(known, positions_A3=moved(known.positions_A3, 4))
    rotation = rotation_between(known, asked)
    assert rotation is not None
    answer, truth = turned(labeler.label(known, 1), rotation), labeler.label(asked, 1)
    assert answer.energy == pytest.approx(truth.energy, abs=1e-6)
    assert answer.forces_A3 is not None
    assert truth.forces_A3 is not None
    assert np.abs(truth.forces_A3).max() > 0.1
    np.testing.assert_allclose(answer.forces_A3, truth.forces_A3, atol=force_noise)


def test_large_boxes_are_found_in_little_memory() -> None:
    """As many atoms as in a box of 512 water molecules, ten boxes of them."""
    random = np.random.default_rng(0)
    numbers, jobs = (8,) * 1536, []
    for _ in range(9):
        positions_A3 = 25 * random.random((1536, 3))
        jobs.append(Job(Configuration("box", numbers, positions_A3), CCSD, Purpose.TRAIN))
    asked_A3 = moved(jobs[3].configuration.positions_A3, 1)
    jobs.append(Job(Configuration("box", numbers, asked_A3), CCSD, Purpose.TRAIN))
    tracemalloc.start()
    found = fingerprints(jobs)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200e6
    assert [found[9].is_near(each) for each in found] == [n in {3, 9} for n in range(10)]
    assert found[3].bucket in found[9].buckets
    assert rotation_between(jobs[3].configuration, jobs[9].configuration) is not None
