"""Costs carried from molecule to molecule, against simulated hosts whose truth is known."""

import math
from dataclasses import replace

import numpy as np
import pytest

from forgefield.platform.planning.cost_scaling import (
    GEOMETRY,
    HOST,
    MOLECULE,
    NINE_IN_TEN,
    REACH,
    SIZE,
    THREADS,
    VERSION,
    Measured,
    measured_cost,
    pooled_scatter,
    range_of_mean,
    scaled_cost,
)

GENERAL = math.exp(NINE_IN_TEN * math.sqrt(HOST**2 + SIZE**2 + MOLECULE**2 + GEOMETRY**2))


def seen(predicted: float, ratio: float, labels: int = 4, scatter: float = 0.05) -> Measured:
    return Measured(f"{predicted}", predicted, ratio * predicted, labels, scatter)


def test_a_host_twice_as_fast_is_believed_once_it_was_seen_often() -> None:
    several = [seen(size, 0.5) for size in (1.0, 3.0, 10.0, 30.0)]
    found = scaled_cost(20.0, several)
    assert found.core_seconds == pytest.approx(10.0, rel=0.05)
    assert found.high / found.core_seconds < 1.5 < GENERAL
    assert found.low * found.high == pytest.approx(found.core_seconds**2)


def test_one_molecule_says_less_than_three_and_both_more_than_none() -> None:
    widths = [
        scaled_cost(10.0, known).high / scaled_cost(10.0, known).core_seconds
        for known in ([seen(8.0, 1.0)], [seen(s, 1.0) for s in (4.0, 8.0, 16.0)])
    ]
    assert widths[1] < widths[0] < GENERAL


def test_the_range_widens_far_from_what_was_measured_but_never_beyond_the_general_one() -> None:
    known = [seen(1.0, 0.5), seen(2.0, 0.5)]
    widths = [
        found.high / found.core_seconds
        for found in (scaled_cost(size, known) for size in (1.5, 10.0, 100.0, 1e4, 1e8))
    ]
    assert widths == sorted(widths)
    assert widths[-1] > 1.3 * widths[0]
    assert widths[-1] < GENERAL
    assert scaled_cost(1e8, known).core_seconds > 0.5e8, "half the way back to the formula"


def test_one_measurement_gives_the_closed_form_of_a_gaussian_process() -> None:
    known = seen(2.0, 3.0, labels=5, scatter=0.1)
    shared = HOST**2 + SIZE**2 * math.exp(-math.log(4) / REACH)
    scatter = pooled_scatter([known])
    own = HOST**2 + SIZE**2 + MOLECULE**2 + scatter**2 / 5
    expected = 8.0 * math.exp(shared / own * math.log(3))
    variance = HOST**2 + SIZE**2 - shared**2 / own + MOLECULE**2 + scatter**2
    found = scaled_cost(8.0, [known])
    assert found.core_seconds == pytest.approx(expected)
    assert found.high == pytest.approx(expected * math.exp(NINE_IN_TEN * math.sqrt(variance)))


def test_without_measurements_it_is_the_formula_within_the_general_range() -> None:
    found = scaled_cost(8.0, [])
    assert (found.core_seconds, found.high / 8.0) == (8.0, pytest.approx(GENERAL))
    assert pytest.approx(2.5, rel=0.01) == GENERAL


def test_labels_of_one_thread_speak_for_many_less_certainly() -> None:
    """Their ratio is kept; the range has six doublings of threads more."""
    known = [seen(size, 0.5) for size in (1.0, 3.0, 10.0)]
    one, many = (scaled_cost(20.0, known, threads) for threads in (1, 64))
    assert many.core_seconds == pytest.approx(one.core_seconds)
    widths = [math.log(each.high / each.core_seconds) / NINE_IN_TEN for each in (one, many)]
    assert widths[1] ** 2 - widths[0] ** 2 == pytest.approx(6 * THREADS**2)
    own = [*known, replace(seen(19.0, 0.9), threads=64)]
    closer = scaled_cost(20.0, own, 64)
    assert closer.high / closer.low < many.high / many.low
    assert closer.core_seconds > many.core_seconds
    assert scaled_cost(20.0, own).core_seconds < closer.core_seconds


def test_labels_by_another_version_are_trusted_less() -> None:
    own = seen(2.0, 3.0, labels=5, scatter=0.1)
    shared = HOST**2 + SIZE**2
    noise = MOLECULE**2 + pooled_scatter([own]) ** 2 / 5 + VERSION**2
    found = scaled_cost(2.0, [replace(own, current=False)])
    expected = 2.0 * math.exp(shared / (shared + noise) * math.log(3))
    assert found.core_seconds == pytest.approx(expected)
    fresh = scaled_cost(2.0, [own])
    assert fresh.core_seconds > found.core_seconds
    assert fresh.high / fresh.low < found.high / found.low


def test_nine_in_ten_labels_lie_within_the_range() -> None:
    """Hosts, methods and molecules drawn as the model says, and one further label of another."""
    rng, inside, trials = np.random.default_rng(0), 0, 2000
    for _ in range(trials):
        places_M = rng.uniform(0, 4, 4)
        apart_MM = np.abs(places_M[:, None] - places_M[None, :])
        size_M = rng.multivariate_normal(np.zeros(4), SIZE**2 * np.exp(-apart_MM / REACH))
        truth_M = rng.normal(0, HOST) + size_M + rng.normal(0, MOLECULE, 4)
        drawn_ML = truth_M[:, None] + rng.normal(0, GEOMETRY, (4, 3))
        known = [
            Measured(str(m), math.exp(x), math.exp(x + logs.mean()), 3, float(logs.std(ddof=1)))
            for m, (x, logs) in enumerate(zip(places_M[:3], drawn_ML[:3], strict=True))
        ]
        found = scaled_cost(math.exp(places_M[3]), known)
        inside += found.low <= math.exp(places_M[3] + drawn_ML[3, 0]) <= found.high
    assert 0.87 < inside / trials < 0.93


def test_three_labels_speak_for_their_own_scatter_two_borrow_that_of_others() -> None:
    calm = [seen(size, 1.0, labels=20, scatter=0.01) for size in (1.0, 2.0)]
    two = Measured("own", 5.0, 5.0, 2, 0.3)
    three = Measured("own", 5.0, 5.0, 3, 0.3)
    assert measured_cost(two, calm).high < measured_cost(two).high
    assert measured_cost(three, calm) == measured_cost(three)
    assert measured_cost(two, calm).core_seconds == 5.0


def test_scatter_is_pooled_by_degrees_of_freedom_and_steadied_by_the_prior() -> None:
    assert pooled_scatter([]) == GEOMETRY
    assert pooled_scatter([Measured("one", 1.0, 1.0, 1)]) == GEOMETRY
    many = [seen(1.0, 1.0, labels=1001, scatter=0.03)]
    assert pooled_scatter(many) == pytest.approx(0.03, rel=0.05)


def test_the_range_of_a_mean_holds_nine_in_ten_means() -> None:
    """Labels of ln scatter `GEOMETRY`, four of them measured, 100 bought."""
    random, inside = np.random.default_rng(4), 0
    for _ in range(2000):
        first, later = (np.exp(GEOMETRY * random.standard_normal(n)) for n in (4, 100))
        own = Measured("it", 1.0, float(first.mean()), 4, GEOMETRY)
        found = range_of_mean(measured_cost(own), 4, 100)
        inside += found.low <= later.mean() <= found.high
    assert 0.88 <= inside / 2000 <= 0.92
    one = measured_cost(own)
    alike = range_of_mean(one, 4, 1)
    assert (alike.low, alike.high) == pytest.approx((one.low, one.high))
    assert range_of_mean(one, 0, 100) == one
