"""Forecasts against simulated molecules whose truth is known, and against the formulas."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forgefield.platform.forecasting import curves
from forgefield.platform.forecasting.counts import Costs, Counts
from forgefield.platform.forecasting.error_model import (
    ErrorModelSettings,
    Forecast,
    Posterior,
    on_frames,
)
from forgefield.platform.forecasting.likelihood import covariance
from forgefield.platform.forecasting.outcomes import Kind, Outcome, Training
from forgefield.platform.forecasting.parameters import NAMES, Parameters
from forgefield.storage.errors import InputError

QUICK = ErrorModelSettings(particles=8000, kept=1000)
PILOTS = (Counts(25, 500, 2000), Counts(25, 2000, 2000), Counts(100, 500, 2000))
FINAL = Counts(400, 4000, 2000)
counts = st.builds(Counts, st.integers(0, 2000), st.integers(0, 9000), st.integers(0, 9000))


def single(**values: float) -> tuple[Parameters, ErrorModelSettings]:
    """One particle, at the given medians."""
    chosen = ErrorModelSettings(**{name: (value, 1e-9) for name, value in values.items()})
    return Parameters.of(np.zeros((1, len(NAMES))), chosen, 9), chosen


def simulated(rng: np.random.Generator, frames: int, number: int) -> tuple[list[Outcome], float]:
    """Outcomes of one molecule drawn from the prior, and what its final error is measured as."""
    truth = Parameters.of(rng.standard_normal((1, len(NAMES))), QUICK, 9)
    plan = [*((c, Kind.TUNED) for c in PILOTS), (Counts(25), Kind.SCRATCH)][:number]
    blank = [Outcome(c, kind, 1.0, frames) for c, kind in plan]
    noise = rng.multivariate_normal(np.zeros(len(plan)), covariance(blank, QUICK)) if plan else []
    seen = [
        Outcome(c, kind, float(np.exp(extra) * _error(truth, c, kind)), frames)
        for (c, kind), extra in zip(plan, noise, strict=True)
    ]
    scatter = QUICK.model_spread * rng.standard_normal()
    last = curves.used(truth, curves.as_array([FINAL])).item()
    return seen, float(np.exp(scatter)) * last


def _error(truth: Parameters, count: Counts, kind: Kind) -> float:
    return curves.error(truth, curves.as_array([count]), kind).item()


def test_the_formulas_are_those_of_the_docstring() -> None:
    p, _ = single(
        scratch=2.0,
        alpha_scratch=0.5,
        floor_scratch=0.1,
        tuned=0.3,
        alpha=0.4,
        floor=0.2,
        beta=0.5,
        alpha_lower=1.0,
        floor_lower=0.3,
        cheap_worth=2.0,
        cheap_power=0.5,
        delta=0.5,
        alpha_delta=1.0,
        lower=0.7,
    )
    count = Counts(399, 1599, 40_000)
    lower = 1000 / (1600 + 2 * 200) + 0.3
    assert _error(p, count, Kind.SCRATCH) == pytest.approx(2 * (0.5 + 0.1))
    assert _error(p, count, Kind.TUNED) == pytest.approx(0.6 * (4**-0.4 * lower**0.5 + 0.2))
    squares = (2 * 0.5 / 4) ** 2 + (2 * 0.7 * lower) ** 2
    assert _error(p, count, Kind.DELTA) == pytest.approx(squares**0.5)


@pytest.mark.parametrize(("number", "frames"), [(0, 10), (2, 4), (4, 50)])
def test_the_80_percent_interval_covers_80_percent_of_simulated_molecules(
    number: int, frames: int
) -> None:
    rng, covered, widths = np.random.default_rng(number), 0, []
    for _ in range(100):
        seen, truth = simulated(rng, frames, number)
        forecast = Posterior.of(seen, QUICK, 9).forecast(FINAL)
        covered += forecast.low <= truth <= forecast.high
        widths.append(np.log(forecast.high / forecast.low))
    assert 0.70 <= covered / 100 <= 0.90
    assert np.median(widths) < {0: 5.0, 2: 2.5, 4: 1.6}[number]


def test_pilots_shrink_the_interval_most_where_they_lie() -> None:
    seen, _ = simulated(np.random.default_rng(5), 50, 4)
    prior, posterior = Posterior.of([], QUICK, 9), Posterior.of(seen, QUICK, 9)

    def width(of: Posterior, count: Counts) -> float:
        forecast = of.forecast(count)
        return float(np.log(forecast.high / forecast.low))

    assert width(posterior, PILOTS[1]) < 0.25 * width(prior, PILOTS[1])
    assert width(posterior, PILOTS[1]) < width(posterior, FINAL) < width(posterior, Counts(9000, 0))


@settings(max_examples=40, deadline=None)
@given(counts, counts, st.sampled_from(list(Kind)))
def test_more_labels_never_forecast_a_larger_error(few: Counts, more: Counts, kind: Kind) -> None:
    posterior = Posterior.of([], ErrorModelSettings(particles=1000), 9)
    before, after = (posterior.forecast(c, kind) for c in (few, few.plus(more)))
    assert after.low <= before.low
    assert after.median <= before.median
    assert after.high <= before.high
    assert posterior.chance_below(0.3, few) <= posterior.chance_below(0.3, few.plus(more))


def test_transfer_that_hurts_is_refused() -> None:
    worse = [Outcome(Counts(100, 500), Kind.TUNED, 2.0, 100)]
    worse += [Outcome(Counts(100), Kind.SCRATCH, 0.5, 100)]
    posterior = Posterior.of(worse, QUICK, 9)
    assert posterior.forecast(Counts(100, 500)).median < 0.6
    row = curves.as_array([Counts(100, 500)])
    assert np.median(curves.error(posterior.parameters, row, Kind.TUNED)) > 1.0, "by itself"
    assert posterior.log_errors([Counts(7)]) == pytest.approx(
        posterior.log_errors([Counts(7)], Kind.SCRATCH)
    )


def test_gains_are_the_slopes_of_the_error_for_its_price() -> None:
    parameters, chosen = single(alpha=0.4, beta=0.5, alpha_lower=1.0, floor=1e-9, floor_lower=1e-9)
    posterior = Posterior(parameters, np.zeros((1, len(NAMES))), np.zeros(1), chosen)
    gains = posterior.gain_per_cost(Counts(1000, 5000), Costs(40.0, 2.0, 0.0))
    assert gains.target == pytest.approx(0.4 / 1000 / 40, rel=0.03)
    assert gains.middle == pytest.approx(0.5 / 5000 / 2, rel=0.03)
    assert gains.cheap == np.inf


def test_shared_frames_make_outcomes_agree_and_few_frames_say_little() -> None:
    few, many = (
        Posterior.of([Outcome(Counts(50), Kind.SCRATCH, 1.0, f)] * 6, QUICK, 9) for f in (2, 500)
    )
    spread = [np.std(each.log_errors([Counts(50)])) for each in (few, many)]
    assert spread[1] < 0.08
    assert spread[0] > 0.8 * np.sqrt(QUICK.frame_likeness) * QUICK.frame_spread / np.sqrt(2)


def test_every_error_scales_with_the_molecule() -> None:
    small, large = (Posterior.of([], QUICK, atoms).forecast(FINAL) for atoms in (9, 36))
    assert large.median / small.median == pytest.approx(4**QUICK.atoms_power)


@pytest.mark.parametrize("error", [0.0, -1.0, float("nan"), float("inf")])
def test_a_training_that_failed_is_no_outcome(error: float) -> None:
    with pytest.raises(InputError, match="Leave this training out"):
        Outcome(Counts(5), Kind.SCRATCH, error, 4)


def test_longer_training_helps_while_there_are_frames_to_learn_from() -> None:
    """By [t(effort)/t(1)]^−κ, t(x) = x/(1 + x/s), s = n_L/120 or n_H/50; and by the committee."""
    kappa, effort = 0.4, 8.0
    chosen = ErrorModelSettings(effort_power=(kappa, 0.5), common=(0.46, 0.5), cheap_worth=(1, 1))
    parameters = Parameters.of(np.zeros((1, len(NAMES))), chosen, 9)
    plain = Posterior(parameters, np.zeros((1, len(NAMES))), np.zeros(1), chosen)
    long = plain.aimed(Training(effort, 3))
    for count, kind, lengths in (
        (Counts(20, 60), Kind.TUNED, 0.5),
        (Counts(200, 2400), Kind.DELTA, 20.0),
        (Counts(50), Kind.SCRATCH, 1.0),
    ):
        ratio = (effort / (1 + effort / lengths)) / (1 / (1 + 1 / lengths))
        expected = ratio**-kappa * np.sqrt(0.46 + 0.54 / 3)
        row = curves.as_array([count])
        errors = [curves.error(parameters, row, kind, each.aim).item() for each in (long, plain)]
        assert errors[0] / errors[1] == pytest.approx(expected)
    few, many = Counts(4, 80), Counts(200, 20_000)
    gains = [long.log_errors([n]) - plain.log_errors([n]) for n in (few, many)]
    assert gains[1] < gains[0] < 0
    again = long.aimed(Training()).log_errors([few])
    np.testing.assert_array_equal(again, plain.log_errors([few]))


def test_short_rounds_forecast_the_long_training_with_its_doubt() -> None:
    """Errors at half length say as much of half length as whole ones of the whole."""
    half, whole = Training(0.5), Training(1.0)
    points = [Counts(25, 500), Counts(50, 1000), Counts(100, 2000)]

    def after(seen: Training, aim: Training) -> Forecast:
        errors = zip(points, (0.9, 0.7, 0.55), strict=True)
        outcomes = [Outcome(c, Kind.TUNED, e, 400, seen) for c, e in errors]
        return Posterior.of(outcomes, QUICK, 9, aim).forecast(points[-1])

    same, ahead = after(half, half), after(half, whole)
    lengths = 2000 / curves.LOWER_A_LENGTH
    gain = 0.5 * (1 + lengths) / (0.5 + lengths)
    assert same.median == pytest.approx(after(whole, whole).median, rel=0.05)
    assert ahead.median == pytest.approx(same.median * gain ** QUICK.effort_power[0], rel=0.05)
    assert ahead.high / ahead.low > same.high / same.low


def test_errors_at_two_lengths_teach_what_length_is_worth() -> None:
    points = [Counts(25, 1500), Counts(50, 3000), Counts(100, 6000)]
    seen = []
    for effort in (1.0, 4.0):
        for count, error in zip(points, (0.9, 0.7, 0.55), strict=True):
            lengths = count.middle / curves.LOWER_A_LENGTH
            gain = effort * (1 + lengths) / (effort + lengths)
            seen.append(Outcome(count, Kind.TUNED, error * gain**-0.7, 2000, Training(effort)))
    found = Posterior.of(seen, QUICK, 9).parameters.effort_power
    assert np.median(found) == pytest.approx(0.7, abs=0.08)


def test_few_frames_widen_a_forecast_as_they_do_in_the_posterior() -> None:
    posterior = Posterior.of([Outcome(Counts(50), Kind.SCRATCH, 1.0, 50)] * 3, QUICK, 9)
    many, few = posterior.forecast(FINAL), posterior.forecast(FINAL, frames=5)
    found = on_frames(many, 5, QUICK)
    assert found.median == many.median
    for ours, exact in ((found.low, few.low), (found.high, few.high)):
        assert np.log(ours / many.median) == pytest.approx(np.log(exact / many.median), rel=0.1)
