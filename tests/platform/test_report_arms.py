"""Arms of several rounds together: the interval covers what is true, whatever rounds differ in."""

import math
from dataclasses import replace

import numpy as np
import pytest

from forgefield.platform.choosing.arms import compare_arms
from forgefield.platform.choosing.picking import Arm
from forgefield.platform.reporting.arm_errors import RoundArms
from forgefield.platform.reporting.arms import plus, together
from forgefield.platform.reporting.strata import Stratum, difference_within, relative_difference
from forgefield.storage.records import Array, Tier

SIZES = ((4, 4), (8, 7), (12, 15))
LEVELS = (9.0, 4.0, 1.5)


def drawn(random: np.random.Generator, gap: float, spread: float = 1.0) -> list[Stratum]:
    """Rounds with falling errors, and chosen frames harder by `gap` in each."""
    return [
        (random.normal(level + gap, spread, one), random.normal(level, spread, two))
        for level, (one, two) in zip(LEVELS, SIZES, strict=True)
    ]


def rounds_of(strata: list[Stratum], tier: Tier = Tier.CCSD) -> list[RoundArms]:
    found = []
    for number, (chosen, random) in enumerate(strata, start=1):
        errors: Array = np.concatenate([random, chosen])
        arms = (Arm.RANDOM,) * len(random) + (Arm.CHOSEN,) * len(chosen)
        compared = compare_arms(errors, arms)
        found.append(RoundArms(number, tier, errors, arms, compared, len(errors)))
    return found


def test_the_interval_covers_in_nineteen_of_twenty_cases() -> None:
    random, inside, trials = np.random.default_rng(3), 0, 1500
    for _ in range(trials):
        found = difference_within(drawn(random, 0.7))
        assert found is not None
        inside += found.low <= 0.7 <= found.high
    assert 0.93 <= inside / trials <= 0.97


def test_falling_errors_are_no_difference() -> None:
    """More chosen frames late, when all errors are small: pooled means would say easier."""
    random = np.random.default_rng(5)
    strata = [
        (random.normal(9, 0.3, 3), random.normal(9, 0.3, 30)),
        (random.normal(1, 0.3, 30), random.normal(1, 0.3, 3)),
    ]
    pooled = np.concatenate([s[0] for s in strata]).mean()
    pooled -= np.concatenate([s[1] for s in strata]).mean()
    found = difference_within(strata)
    assert found is not None
    assert pooled < -5
    assert found.low < 0 < found.high
    assert abs(found.value) < 0.5


def test_one_round_alone_is_welchs_t() -> None:
    from scipy.stats import ttest_ind

    one, two = np.array([3.0, 4.0, 6.0, 9.0]), np.array([1.0, 2.0, 2.5])
    found = difference_within([(one, two)])
    known = ttest_ind(one, two, equal_var=False).confidence_interval(0.95)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((known.low, known.high))


def test_rounds_without_both_arms_say_nothing() -> None:
    lonely = (np.array([9.0]), np.array([1.0, 2.0, 3.0]))
    both = (np.array([3.0, 4.0]), np.array([1.0, 2.0]))
    assert difference_within([lonely]) is None
    assert math.isnan(relative_difference([lonely]))
    assert difference_within([lonely, both]) == difference_within([both])
    assert relative_difference([both]) == pytest.approx(2 / 1.5)
    assert difference_within([(np.ones(3), np.zeros(2))]) is not None


def test_the_verdict_names_what_was_harder() -> None:
    random = np.random.default_rng(1)
    harder = together(rounds_of(drawn(random, 3.0)))
    assert "Over 3 rounds the chosen frames were harder: +" in harder
    assert "% more than the random ones" in harder
    easier = together(rounds_of(drawn(random, -3.0)))
    assert "easier: −" in easier
    assert "Choosing didn't do what it is for." in easier
    assert "beyond doubt" in together(rounds_of(drawn(random, 0.0)))


def test_the_verdict_is_of_target_labels_whatever_cheaper_ones_say() -> None:
    """DFT errors are the difference of the methods, and there are many of them."""
    random = np.random.default_rng(1)
    target = rounds_of(drawn(random, 3.0))
    below = [(random.normal(8, 0.1, 90), random.normal(9, 0.1, 90)) for _ in SIZES]
    mixed = [*target, *rounds_of(below, Tier.DFT)]
    assert together(mixed) == together(target)
    assert "No round has labels of the target tier" in together(mixed[3:])
    assert together([target[2], *mixed[3:]]) == target[2].compared.sentence()


def test_one_round_has_its_own_sentence() -> None:
    one = rounds_of(drawn(np.random.default_rng(2), 3.0))[2]
    assert together([one]) == one.compared.sentence()
    few = rounds_of([(np.array([2.0]), np.array([1.0, 3.0]))])
    assert "Too few" in together(few)
    assert "Too few" in together([*few, replace(few[0], number=2)])
    assert plus(-0.125) == "−0.12"
