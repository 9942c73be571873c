"""Runs of one molecule label the same configurations, however many each needs."""

from pathlib import Path

import numpy as np

from forgefield.labelers.distinct import distinct
from forgefield.labelers.molecules import find_molecule
from forgefield.labelers.sampling import SamplingSettings, sample
from forgefield.platform.book_places import BookPlace
from forgefield.platform.pools.sharing import pool_identity, shared_configurations
from forgefield.storage.geometry import pair_distances, sorted_distances

METHANOL = find_molecule("methanol")
SETTINGS = SamplingSettings(frames=40, conformers=1, interval=50.0, equilibration=50.0)


def ignore(_done: int, _total: int) -> None:
    """Watch nothing."""


def shared(folder: Path, frames: int, *, none: bool = False) -> np.ndarray:
    book = None if none else BookPlace(str(folder / "l.sqlite"), folder, 0.1, required=True)
    settings = SETTINGS.model_copy(update={"frames": frames})
    return shared_configurations(METHANOL, settings, ignore, book)[0].positions_FA3


def test_a_larger_run_begins_with_the_configurations_of_a_smaller_one(tmp_path: Path) -> None:
    small, large, again = (shared(tmp_path, frames) for frames in (40, 90, 60))
    np.testing.assert_array_equal(large[:40], small)
    np.testing.assert_array_equal(large[:60], again)
    assert len(large) == 90
    features = sorted_distances(METHANOL.numbers, pair_distances(large))
    assert distinct(features, SETTINGS.threshold).all()


def test_without_a_book_and_at_first_it_is_plain_sampling(tmp_path: Path) -> None:
    plain = sample(METHANOL, SETTINGS).positions_FA3
    np.testing.assert_array_equal(shared(tmp_path, 40, none=True), plain)
    np.testing.assert_array_equal(shared(tmp_path, 40), plain)


def test_only_the_number_of_frames_may_differ() -> None:
    own = pool_identity(METHANOL, SETTINGS)
    assert pool_identity(METHANOL, SETTINGS.model_copy(update={"frames": 9})) == own
    assert pool_identity(METHANOL, SETTINGS.model_copy(update={"seed": 9})) != own
    assert pool_identity(find_molecule("ethanol"), SETTINGS) != own
