"""Frames from Langevin dynamics: distinct, reproducible, and at the temperature asked for."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.spatial.transform import Rotation

from forgefield.labelers.conformers import conformers
from forgefield.labelers.distinct import collided, distinct
from forgefield.labelers.molecules import find_molecule
from forgefield.labelers.registry import labeler_for
from forgefield.labelers.sampling import SamplingSettings, sample
from forgefield.storage.errors import InputError
from forgefield.storage.geometry import pair_distances, sorted_distances
from forgefield.storage.records import Configuration
from forgefield.storage.units import EV_PER_KELVIN

METHANOL = find_molecule("methanol")


def test_the_number_asked_for_is_given_with_progress() -> None:
    heard: list[tuple[int, int]] = []
    samples = sample(METHANOL, SamplingSettings(frames=300), lambda *at: heard.append(at))
    assert samples.positions_FA3.shape == (300, 6, 3)
    assert set(samples.temperature_F) == {300.0, 500.0, 700.0}
    assert samples.note == ""
    assert heard[-1] == (300, 300)
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)
    assert 20 <= samples.interval <= 200


def test_seeds_decide() -> None:
    first, again, other = (
        sample(METHANOL, SamplingSettings(frames=40, seed=seed)).positions_FA3 for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01


def test_no_two_frames_are_alike() -> None:
    settings = SamplingSettings(frames=400, threshold=0.02)
    positions_FA3 = sample(find_molecule("water"), settings).positions_FA3
    features_FP = sorted_distances((8, 1, 1), pair_distances(positions_FA3))
    difference_FF = np.abs(features_FP[:, None] - features_FP[None]).max(axis=2)
    np.fill_diagonal(difference_FF, np.inf)
    assert difference_FF.min() > 0.02


def test_fewer_frames_come_with_a_reason() -> None:
    settings = SamplingSettings(frames=400, threshold=0.1, most_rounds=2)
    samples = sample(find_molecule("water"), settings)
    assert 0 < len(samples) < 400
    assert samples.dropped > 0
    assert "of 400 wanted" in samples.note
    assert "threshold" in samples.note


def test_potential_energy_has_the_temperature_of_equipartition() -> None:
    """Stiff and nearly harmonic: each of methane's nine internal modes holds kT/2."""
    settings = SamplingSettings(frames=1500, temperatures=(300.0,), conformers=1, threshold=0.0)
    methane = find_molecule("methane")
    samples = sample(methane, settings)
    labeler = labeler_for("MMFF94")
    labeler.prepare(methane)
    energies_F = [
        labeler.label(Configuration("methane", methane.numbers, positions_A3)).energy
        for positions_A3 in samples.positions_FA3
    ]
    least = labeler.label(Configuration("methane", methane.numbers, methane.positions_A3)).energy
    assert np.mean(energies_F) - least == pytest.approx(4.5 * EV_PER_KELVIN * 300, rel=0.08)


def test_likeness_is_blind_to_rotation_and_numbering() -> None:
    positions_A3 = METHANOL.positions_A3
    turned_A3 = Rotation.from_rotvec([1.0, 2.0, 0.5]).apply(positions_A3) + 3.0
    renumbered_A3 = positions_A3[[0, 1, 3, 4, 2, 5]]
    features_FP = sorted_distances(
        METHANOL.numbers, pair_distances(np.array([positions_A3, turned_A3, renumbered_A3]))
    )
    assert distinct(features_FP, 1e-6).tolist() == [True, False, False]


def test_distinct_keeps_what_only_a_dropped_frame_was_near() -> None:
    features_FP = np.array([[0.0], [0.8], [1.6], [5.0]])
    assert distinct(features_FP, 1.0).tolist() == [True, False, True, True]


def test_collisions_are_found() -> None:
    good_A3 = METHANOL.positions_A3
    bad_A3 = good_A3.copy()
    bad_A3[5] = bad_A3[2] + [0.2, 0, 0]
    broken_A3 = np.full_like(good_A3, np.nan)
    distances_FP = pair_distances(np.array([good_A3, bad_A3, broken_A3]))
    assert collided(METHANOL.numbers, distances_FP).tolist() == [False, True, True]


def test_conformers_differ_and_begin_with_the_molecule() -> None:
    molecule = find_molecule("salicylic acid")
    found_CA3 = conformers(molecule, 8, seed=1)
    np.testing.assert_array_equal(found_CA3[0], molecule.positions_A3)
    assert len(found_CA3) > 1


@pytest.mark.parametrize("bad", [{"frames": 0}, {"temperatures": ()}, {"temperatures": (-1.0,)}])
def test_senseless_settings_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SamplingSettings(**bad)


def test_a_molecule_without_parameters_is_refused() -> None:
    with pytest.raises(InputError, match="atom type"):
        sample(find_molecule("[H][H]"), SamplingSettings(frames=10))
