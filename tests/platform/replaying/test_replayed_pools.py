"""No geometry is both trained on and measured with, whatever files share."""

from pathlib import Path

import numpy as np
import pytest
import spring_files as springs
from replays import FORMALDEHYDE, recipe, section

from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.pools.pool import Pool, load_pool, save_pool
from forgefield.platform.pools.replayed import judging_frames, most_judged, replayed_pool
from forgefield.storage.errors import InputError
from forgefield.storage.geometry import pair_distances, sorted_distances
from forgefield.storage.records import Array, Method, Purpose, Tier

ALLOCATION = {"most_holdout": 10, "most_validation": 5, "cheap_calibration_labels": 4}
JUDGED = 4 + 10 + 5


def both(folder: Path, **more: object) -> Recipe:
    """Two files; the middle tier's has the target's 80 geometries too, turned, and 40 of its own.

    The target's file has its last ten frames twice.
    """
    own_NA3 = springs.distortions(80, 1)
    twice_NA3 = np.concatenate([own_NA3, own_NA3[-10:]])
    cheap_NA3 = np.concatenate([springs.distortions(40, 2), springs.turned(own_NA3)])
    high = springs.write(folder / "high.npz", twice_NA3, springs.ACCURATE)
    low = springs.write(folder / "low.npz", cheap_NA3, springs.CHEAP)
    tiers = {
        "ccsd": section(high, unit="kcal/mol"),
        "dft": section(low, unit="kcal/mol", method="SPRINGS/two", price=10.0),
    }
    return recipe(tiers | more, allocation=ALLOCATION)


def shapes(positions_NA3: Array) -> Array:
    """What tells geometries apart, however they are turned."""
    return sorted_distances(FORMALDEHYDE.numbers, pair_distances(positions_NA3))


def shared(one_NA3: Array, other_NA3: Array) -> int:
    """Geometries of the first that the second has, by comparing all with all."""
    gaps = np.abs(shapes(one_NA3)[:, None] - shapes(other_NA3)[None]).max(axis=2)
    return int((gaps.min(axis=1, initial=np.inf) < 1e-3).sum())


def test_what_the_target_is_judged_on_is_in_no_other_list(tmp_path: Path) -> None:
    settings = both(tmp_path)
    pool = replayed_pool(FORMALDEHYDE, settings)
    assert most_judged(settings.allocation) == JUDGED
    assert len(pool) == 80, "a geometry that is in the file twice counts once"
    assert shared(pool.positions_FA3[1:], pool.positions_FA3[:1]) == 0
    middle = pool.of(Tier.DFT)
    assert len(middle) == 40 + 80 - JUDGED
    assert shared(pool.positions_FA3[:JUDGED], middle.positions_FA3) == 0
    assert shared(pool.positions_FA3[JUDGED:], middle.positions_FA3) == 80 - JUDGED


def test_computed_tiers_take_the_middle_tiers_geometries(tmp_path: Path) -> None:
    pool = replayed_pool(FORMALDEHYDE, both(tmp_path))
    for tier in (Tier.EMPIRICAL, Tier.XTB):
        assert pool.of(tier).positions_FA3 is pool.of(Tier.DFT).positions_FA3 or np.array_equal(
            pool.of(tier).positions_FA3, pool.of(Tier.DFT).positions_FA3
        )
    alone = replayed_pool(
        FORMALDEHYDE,
        recipe({"ccsd": section(tmp_path / "high.npz", unit="kcal/mol")}, allocation=ALLOCATION),
    )
    assert not alone.apart, "all tiers share the target's list, whose slices keep them apart"


def test_test_frames_are_in_no_list(tmp_path: Path) -> None:
    settings = both(tmp_path, test_frames=12)
    pool = replayed_pool(FORMALDEHYDE, settings)
    test = judging_frames(FORMALDEHYDE, settings)
    assert test is not None
    assert len(test) == 12
    assert len(pool) == 68
    assert shared(test.positions_NA3, pool.positions_FA3) == 0
    assert shared(test.positions_NA3, pool.of(Tier.DFT).positions_FA3) == 0
    energy_N, forces_NA3 = springs.labels(test.positions_NA3, springs.ACCURATE)
    assert test.energy_N == pytest.approx(energy_N, abs=1e-6)
    assert test.forces_NA3 == pytest.approx(forces_NA3, abs=1e-6)


def test_a_file_of_test_frames_takes_its_geometries_from_all_lists(tmp_path: Path) -> None:
    seen_NA3 = springs.turned(springs.distortions(80, 1)[:30], seed=9)
    path = springs.write(tmp_path / "test.npz", seen_NA3, springs.ACCURATE)
    settings = both(tmp_path, test=str(path))
    pool = replayed_pool(FORMALDEHYDE, settings)
    assert len(pool) == 50
    assert shared(seen_NA3, pool.positions_FA3) == 0
    assert shared(seen_NA3, pool.of(Tier.DFT).positions_FA3) == 0


def test_the_seed_of_the_sampling_shuffles(tmp_path: Path) -> None:
    settings = both(tmp_path)
    first, again = (replayed_pool(FORMALDEHYDE, settings) for _ in range(2))
    assert np.array_equal(first.positions_FA3, again.positions_FA3)
    sampling = settings.sampling.model_copy(update={"seed": 1})
    other = replayed_pool(FORMALDEHYDE, settings.model_copy(update={"sampling": sampling}))
    assert not np.array_equal(first.positions_FA3, other.positions_FA3)
    assert shared(first.positions_FA3, other.positions_FA3) == len(first)


def test_a_saved_pool_has_all_its_lists(tmp_path: Path) -> None:
    pool = replayed_pool(FORMALDEHYDE, both(tmp_path))
    save_pool(pool, tmp_path / "pool.npz")
    back = load_pool(FORMALDEHYDE, tmp_path / "pool.npz")
    for tier in Tier:
        assert np.array_equal(back.of(tier).positions_FA3, pool.of(tier).positions_FA3)
        jobs = back.jobs(Method(tier, "any"), Purpose.TRAIN, len(back.of(tier)) - 2, 9)
        assert len(jobs) == 2
        assert np.array_equal(jobs[0].configuration.positions_A3, pool.of(tier).positions_FA3[-2])
    plain = Pool(FORMALDEHYDE, pool.positions_FA3, pool.temperature_F)
    assert plain.of(Tier.DFT) is plain


def test_files_of_two_units_and_opposed_forces_are_found(tmp_path: Path) -> None:
    settings = both(tmp_path)
    cheap_NA3 = np.concatenate([springs.distortions(40, 2), springs.distortions(80, 1)])
    _, forces_NA3 = springs.labels(cheap_NA3, springs.CHEAP)
    springs.write(tmp_path / "low.npz", cheap_NA3, springs.CHEAP, F=-forces_NA3 * 23.06)
    with pytest.raises(InputError, match=r"trust = true under \[replay\.dft\]"):
        replayed_pool(FORMALDEHYDE, settings)


def test_more_test_frames_than_there_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"replay\.test_frames = 80, but .* has 80 distinct"):
        replayed_pool(FORMALDEHYDE, both(tmp_path, test_frames=80))
