"""The draw of a benchmark: the paper's indices, and no geometry on two sides."""

import json
from pathlib import Path

import numpy as np
import pytest

from forgefield.platform.benchmarking.draws import (
    Draw,
    cheap_draw,
    cheap_pool,
    draw_frames,
    with_test_file,
)
from forgefield.platform.foreign_labels.files import read_labelled
from forgefield.platform.foreign_labels.matching import repeats_in, shared_by
from forgefield.storage.errors import InputError
from forgefield.storage.records import Tier

NONE = np.empty((0, 2), dtype=np.int64)


def drawn(frames: int, repeats: list[tuple[int, int]] | None = None, **changes: int | None) -> Draw:
    settings: dict[str, int | None] = {"train": 250, "seed": 0, "validation": None, "test": None}
    pairs = np.array(repeats or NONE, dtype=np.int64).reshape(-1, 2)
    return draw_frames(frames, pairs, **{**settings, **changes})  # type: ignore[arg-type]


def test_a_thousand_frames_are_drawn_as_in_the_paper() -> None:
    order = np.arange(1000)
    np.random.RandomState(0).shuffle(order)
    found = drawn(1000)
    assert found.train[:5] == (993, 859, 298, 553, 672)
    assert found.train == tuple(order[:250])
    assert found.validation == tuple(order[950:1000])
    assert found.test == tuple(order[250:950])
    assert not set(found.train) & set(found.test)
    assert drawn(1000, train=200).train == found.train[:200]
    assert drawn(1000, seed=1).train != found.train
    assert drawn(1000).hash == found.hash != drawn(1000, seed=1).hash


@pytest.mark.parametrize(("frames", "asked", "expected"), [(500, None, 25), (333, None, 17)])
def test_validation_is_the_last_twentieth_unless_asked(
    frames: int, asked: int | None, expected: int
) -> None:
    found = drawn(frames, train=100, validation=asked)
    assert len(found.validation) == expected
    assert found.validation == tuple(np.random.RandomState(0).permutation(frames)[-expected:])
    assert len(drawn(frames, train=100, validation=7).validation) == 7
    assert len(found.test) == frames - 100 - expected
    assert drawn(frames, train=100, test=9).test == found.test[:9]


def test_twins_are_dropped_from_the_later_side() -> None:
    plain = drawn(1000)
    train, validation, test = plain.train, plain.validation, plain.test
    found = drawn(
        1000,
        [
            (train[3], train[7]),
            (train[0], validation[0]),
            (test[0], train[1]),
            (validation[1], test[1]),
            (test[2], test[3]),
            (validation[0], test[4]),
        ],
    )
    assert found.train == train
    assert found.dropped_validation == (validation[0],)
    assert found.validation == validation[1:]
    assert found.dropped_test == (test[0], test[1], test[4])
    assert found.test == (*test[2:4], *test[5:])


def test_a_test_file_takes_the_place_of_the_rest() -> None:
    own = drawn(300, test=0, train=100)
    assert own.test == ()
    twins = np.array([(own.train[0], 4), (own.validation[0], 2), (200, 6)])
    twins = twins[[own.used.__contains__(int(i)) or int(i) == 200 for i in twins[:, 0]]]
    unused = next(place for place in range(300) if place not in own.used)
    twins[2, 0] = unused
    found = with_test_file(own, 8, twins, None)
    assert found.test == (0, 1, 3, 5, 6, 7)
    assert found.dropped_test == (2, 4)
    assert set(found.used) == set(own.train) | set(own.validation)
    assert found.hash != own.hash


def test_cheap_frames_avoid_every_used_geometry_and_are_nested() -> None:
    draw = drawn(100, train=20)
    shared = np.array([(draw.train[0], 3), (draw.validation[0], 5), (draw.test[0], 8)])
    pool = cheap_pool(50, shared, draw.used)
    assert set(range(50)) - set(pool) == {3, 5, 8}
    few, many = cheap_draw(pool, 10, 0), cheap_draw(pool, 40, 0)
    assert many[:10] == few
    assert len(set(many)) == 40
    assert set(many) <= set(pool)
    assert cheap_draw(pool, 10, 1) != few
    with pytest.raises(InputError, match=r"48 cheap frames.*47 are at hand"):
        cheap_draw(pool, 48, 0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train": 990}, "990 frames to train on and 50 for validation"),
        ({"train": 950}, "none is left"),
        ({"validation": 0}, "0 for validation"),
    ],
)
def test_a_file_that_is_too_short_is_refused(changes: dict[str, int], words: str) -> None:
    with pytest.raises(InputError, match=words):
        drawn(1000, **changes)


def test_a_short_file_has_no_share_to_choose_by() -> None:
    with pytest.raises(InputError, match=r"9 frames, and 5 are to train.*--validation"):
        drawn(9, train=5)


def test_all_shared_frames_and_duplicates_of_ethanol_are_found(repository: Path) -> None:
    data = repository.parent / "shared/data"
    ccsd, pbe = data / "ethanol_ccsd_t-train.npz", data / "rmd17_ethanol.npz"
    known = data / "ethanol_pairs_with_rmd17.json"
    for path in (ccsd, pbe, known):
        if not path.exists():
            pytest.skip(f"{path.name} is absent")
    accurate, cheap = read_labelled(ccsd, Tier.CCSD, None), read_labelled(pbe, Tier.DFT, None)
    pairs = shared_by(accurate, cheap)
    expected = json.loads(known.read_text())["ethanol_ccsd_t-train.npz"]
    with np.load(pbe) as arrays:
        index = arrays["md17_index"][pairs[:, 1]]
    assert sorted(zip(pairs[:, 0].tolist(), index.tolist(), strict=True)) == [
        tuple(pair) for pair in expected
    ]
    repeats = repeats_in(accurate)
    assert repeats.tolist() == [[280, 736], [773, 826]]
    draw = draw_frames(1000, repeats, train=250, seed=0, validation=None, test=None)
    sides = [set(draw.train), set(draw.validation), set(draw.test)]
    for one, other in repeats.tolist():
        assert sum(one in side or other in side for side in sides) == 1
    dropped = len(draw.dropped_test) + len(draw.dropped_validation)
    assert sum(map(len, sides)) + dropped == 1000
    assert (len(draw.test), len(draw.validation), dropped) == (699, 50, 1)
    pool = cheap_pool(len(cheap), pairs, draw.used)
    assert len(pool) == len(cheap) - 23


def test_validation_frames_that_are_all_twins_are_refused() -> None:
    """Nothing would be left to choose by."""
    plain = drawn(100, train=50)
    twins = [tuple(sorted((plain.train[0], place))) for place in plain.validation]
    with pytest.raises(InputError, match="All 5 validation frames have the geometry"):
        drawn(100, twins, train=50)  # type: ignore[arg-type]
