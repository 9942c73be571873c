"""Starting points from earlier frames: geometry, bounds, and labels that don't depend on them."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from forgefield.labelers.molecules import find_molecule
from forgefield.labelers.registry import labeler_for
from forgefield.labelers.warm_start import Neighbours, mixture
from forgefield.storage.records import Configuration, Molecule
from forgefield.storage.units import KCAL_PER_MOL_PER_EV

SAME = 1e-3 / KCAL_PER_MOL_PER_EV
TURN = Rotation.from_rotvec([0.3, -1.1, 0.7])
WATER = find_molecule("water")


@dataclass(frozen=True)
class Weighed:
    """A solution of a given size."""

    nbytes: int
    word: str = ""


def water(seed: int = 0, amplitude: float = 0.03, name: str = "water") -> Configuration:
    noise_A3 = np.random.default_rng(seed).normal(0, amplitude, (3, 3))
    return Configuration(name, WATER.numbers, WATER.positions_A3 + noise_A3)


def turned(shape: Configuration) -> Configuration:
    return Configuration(shape.molecule, shape.numbers, TURN.apply(shape.positions_A3) + 2.0)


def test_a_turned_frame_is_found_and_turned_back() -> None:
    neighbours, shape = Neighbours[Weighed](), water()
    neighbours.keep(water(1), Weighed(1, "far"))
    neighbours.keep(shape, Weighed(1, "near"))
    near = neighbours.nearest(turned(shape), 2)
    assert [each.solution.word for each in near] == ["near", "far"]
    assert near[0].rmsd < 1e-12 < near[1].rmsd
    np.testing.assert_allclose(near[0].rotation_33, TURN.as_matrix(), atol=1e-12)
    np.testing.assert_allclose(near[0].moved_A3, turned(shape).positions_A3, atol=1e-12)


def test_a_mirror_image_is_not_the_same_molecule() -> None:
    corners_A3 = np.array([(0, 0, 0), (1, 0, 0), (0, 1.3, 0), (0, 0, 1.7)], dtype=float)
    neighbours = Neighbours[Weighed]()
    neighbours.keep(Configuration("m", (6, 1, 9, 17), corners_A3), Weighed(1))
    mirrored = Configuration("m", (6, 1, 9, 17), corners_A3 * [-1, 1, 1])
    (near,) = neighbours.nearest(mirrored)
    assert np.linalg.det(near.rotation_33) == pytest.approx(1)
    assert near.rmsd > 0.1


def test_other_molecules_charges_and_spins_are_no_neighbours() -> None:
    neighbours, shape = Neighbours[Weighed](), water()
    neighbours.keep(shape, Weighed(1))
    for other in (
        water(name="other"),
        Configuration("water", shape.numbers, shape.positions_A3, 1, 2),
        Configuration("water", (16, 1, 1), shape.positions_A3),
    ):
        assert neighbours.nearest(other) == []


def test_frames_and_bytes_are_bounded_and_the_oldest_go() -> None:
    neighbours = Neighbours[Weighed](most=3, most_bytes=1000)
    for seed in range(5):
        neighbours.keep(water(seed), Weighed(100, str(seed)))
    assert {n.solution.word for n in neighbours.nearest(water(), 9)} == {"2", "3", "4"}
    neighbours.keep(water(name="other"), Weighed(900))
    assert neighbours.nbytes == 1000
    assert [n.solution.word for n in neighbours.nearest(water(), 9)] == ["4"]
    neighbours.keep(water(9), Weighed(1001))
    assert len(neighbours) == 0


def test_a_mixture_extrapolates_a_straight_line() -> None:
    neighbours, step_A3 = Neighbours[Weighed](), 0.01 * WATER.positions_A3
    for count in (0, 1):
        positions_A3 = WATER.positions_A3 + count * step_A3
        neighbours.keep(Configuration("water", WATER.numbers, positions_A3), Weighed(1))
    ahead = Configuration("water", WATER.numbers, WATER.positions_A3 + 2 * step_A3)
    weights = mixture(neighbours.nearest(ahead, 2), ahead.positions_A3)
    np.testing.assert_allclose(weights, [2, -1], atol=0.01)


@pytest.mark.parametrize(
    "method", ["HF/6-31G, energy only", "PBE0/STO-3G, energy only", "CCSD(T)/STO-3G"]
)
def test_labels_do_not_depend_on_the_frames_before(method: str) -> None:
    """Ethylene, twisted past the crossing of two solutions: following one is 20 kcal/mol off."""
    flat = find_molecule("C=C")
    warm = labeler_for(method)
    for angle in range(60, 106, 5):
        shape = twisted(flat, angle)
        found = warm.label(shape)
    cold = labeler_for(method).label(shape)
    assert found.energy == pytest.approx(cold.energy, abs=1e-5)
    if found.forces_A3 is not None:
        np.testing.assert_allclose(found.forces_A3, cold.forces_A3, atol=SAME)


def twisted(flat: Molecule, degrees: float) -> Configuration:
    """One CH2 of ethylene turned about the double bond."""
    first, second = flat.positions_A3[0], flat.positions_A3[1]
    axis = (second - first) / np.linalg.norm(second - first)
    nearer = np.linalg.norm(flat.positions_A3 - second, axis=1) < 1.2
    turn = Rotation.from_rotvec(np.deg2rad(degrees) * axis)
    positions_A3 = flat.positions_A3.copy()
    positions_A3[nearer] = turn.apply(positions_A3[nearer] - second) + second
    return Configuration("ethylene", flat.numbers, positions_A3)


def test_a_turned_copy_starts_converged() -> None:
    """F functions too: PySCF's rotation of them is the transpose of what it says."""
    labeler = labeler_for("CCSD(T)/cc-pVTZ")
    cold = labeler.label(water()).provenance.diagnostics
    found = labeler.label(turned(water())).provenance.diagnostics
    for name in ("cc_iterations", "lambda_iterations"):
        assert found[name] <= 4 < cold[name]
