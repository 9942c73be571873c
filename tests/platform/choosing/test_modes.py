"""Normal modes: a diatomic's frequency, Hessians, and the ensemble that displacements sample."""

import numpy as np
import pytest
from spring_frames import NUMBERS, SHAPE, label

from forgefield.platform.choosing.modes import (
    PER_FS_PER_CM,
    SOFTEST_PER_CM,
    hessian,
    normal_modes,
    relaxed,
)
from forgefield.platform.choosing.walking import EV_PER_AMU_A2_PER_FS2
from forgefield.storage.records import Array
from forgefield.storage.units import EV_PER_KELVIN

MASSES = np.array([16.0, 12.0, 1.0, 1.0, 1.0])


def surface(positions_WA3: Array) -> tuple[Array, Array]:
    both = [label(positions_A3) for positions_A3 in positions_WA3]
    return np.array([energy for energy, _ in both]), np.array([forces for _, forces in both])


def forces(positions_WA3: Array) -> Array:
    return surface(positions_WA3)[1]


def test_a_diatomic_has_one_mode_of_the_textbook() -> None:
    """ω = √(k/μ); carbon monoxide's 1900 N/m are 2170 per cm."""
    stiff, bond = 118.6, np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.13]])  # eV/Å²

    def pulled(x: Array) -> Array:
        gap = x[:, 1] - x[:, 0]
        length = np.linalg.norm(gap, axis=1, keepdims=True)
        pull = stiff * (length - 1.13) * gap / length
        return np.stack([pull, -pull], axis=1)

    modes = normal_modes(pulled, bond, np.array([12.0, 15.995]))
    reduced = 12.0 * 15.995 / (12.0 + 15.995) * EV_PER_AMU_A2_PER_FS2
    assert modes.frequency_M == pytest.approx([np.sqrt(stiff / reduced)], rel=1e-4)
    assert modes.wavenumber_per_cm_M[0] == pytest.approx(2170, abs=5)


def test_the_hessian_is_that_of_the_energy() -> None:
    """Against second differences of the energy alone."""
    found = hessian(forces, SHAPE)
    step = 1e-3
    for row, column in ((0, 0), (2, 5), (7, 13), (14, 14)):
        moved = []
        for one, other in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
            flat = SHAPE.ravel().copy()
            flat[row] += one * step
            flat[column] += other * step
            moved.append(surface(flat.reshape(1, -1, 3))[0][0])
        second = (moved[0] - moved[1] - moved[2] + moved[3]) / (4 * step**2)
        assert found[row, column] == pytest.approx(second, abs=0.02)


def test_relaxing_finds_the_shape_at_rest() -> None:
    start = SHAPE + np.random.default_rng(0).normal(scale=0.08, size=SHAPE.shape)
    found = relaxed(surface, start)
    assert surface(found[None])[0][0] == pytest.approx(0.0, abs=1e-4)


def test_displacements_hold_half_a_kT_each_and_turn_nothing() -> None:  # noqa: N802
    """⟨E⟩ = M kT/2 in the harmonic limit, so at low temperature, and no motion as a whole."""
    modes = normal_modes(forces, SHAPE, MASSES)
    assert len(modes.frequency_M) == 3 * len(NUMBERS) - 6
    assert modes.wavenumber_per_cm_M.min() > SOFTEST_PER_CM
    drawn = modes.draw(np.full(4000, 10.0), np.random.default_rng(0))
    energy = surface(drawn)[0].mean()
    assert energy == pytest.approx(9 / 2 * EV_PER_KELVIN * 10, rel=0.04)
    step_FA3 = drawn - SHAPE
    np.testing.assert_allclose(np.einsum("a,fax->fx", MASSES, step_FA3), 0, atol=1e-10)
    turned_F3 = np.einsum("a,fax->fx", MASSES, np.cross(SHAPE[None], step_FA3))
    np.testing.assert_allclose(turned_F3, 0, atol=1e-10)


def test_each_displacement_has_its_own_temperature() -> None:
    modes = normal_modes(forces, SHAPE, MASSES)
    drawn = modes.draw(np.tile([100.0, 900.0], 2000), np.random.default_rng(1)) - SHAPE
    ratio = (drawn[1::2] ** 2).mean() / (drawn[::2] ** 2).mean()
    assert ratio == pytest.approx(9.0, rel=0.1)


def test_soft_and_unstable_modes_are_held_back() -> None:
    """A torsion of no stiffness, or a negative one, moves as far as one of 100 per cm would."""
    for factor in (0.0, -1e-4):
        modes = normal_modes(lambda x, f=factor: f * forces(x), SHAPE, MASSES)
        drawn = modes.draw(np.full(3000, 300.0), np.random.default_rng(2)) - SHAPE
        weighted = (MASSES[None, :, None] * drawn**2).sum(axis=(1, 2)).mean()
        floor = SOFTEST_PER_CM * PER_FS_PER_CM
        assert weighted == pytest.approx(
            9 * EV_PER_KELVIN * 300 / EV_PER_AMU_A2_PER_FS2 / floor**2, rel=0.05
        )


def test_a_linear_molecule_turns_about_two_axes() -> None:
    """Carbon dioxide with pair springs: 3·3 − 5 modes."""
    line = np.array([[0.0, 0.0, -1.16], [0.0, 0.0, 0.0], [0.0, 0.0, 1.16]])
    modes = normal_modes(lambda x: -(x - line), line, np.array([16.0, 12.0, 16.0]))
    assert len(modes.frequency_M) == 4
