"""Fitted priors against simulated molecules that come from a known one."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from forgefield.platform.forecasting import curves
from forgefield.platform.forecasting.counts import Counts
from forgefield.platform.forecasting.outcomes import Kind, Outcome
from forgefield.platform.forecasting.parameters import NAMES, ErrorModelSettings, Parameters

ASSUMED = ErrorModelSettings(particles=4000, kept=1000, model_spread=0.05, atoms_power=0)
TRUE = ASSUMED.model_copy(update={"alpha_scratch": (0.3, 0.1), "tuned": (0.2, 0.3)})
POINTS = [Counts(n, m) for n in (10, 50, 200, 800) for m in (0, 2000)]


@pytest.fixture(scope="module")
def fitting(repository: Path) -> ModuleType:
    path = repository / "tests" / "benchmarks" / "planning" / "prior_fitting.py"
    spec = importlib.util.spec_from_file_location("prior_fitting", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["prior_fitting"] = module
    spec.loader.exec_module(module)
    return module


def test_the_prior_that_molecules_come_from_is_found_again(fitting: ModuleType) -> None:
    rng = np.random.default_rng(0)
    systems, drawn = {}, []
    for number in range(15):
        truth = Parameters.of(rng.standard_normal((1, len(NAMES))), TRUE, 9)
        seen = []
        for point in POINTS:
            kind = Kind.TUNED if point.middle else Kind.SCRATCH
            error = curves.error(truth, curves.as_array([point]), kind).item()
            error *= np.exp(0.05 * rng.standard_normal())
            seen.append(fitting.Seen(Outcome(point, kind, error, 100_000), 0))
        systems[f"ethanol-{number}"] = seen
        drawn.append([truth.alpha_scratch.item(), truth.tuned.item()])
    prior = fitting.fitted(systems, ASSUMED)
    alpha, tuned = np.exp(np.log(drawn).mean(axis=0))
    assert prior.alpha_scratch[0] == pytest.approx(alpha, abs=0.06)
    assert prior.tuned[0] == pytest.approx(tuned, abs=0.06)
    unseen = (prior.delta[0] / ASSUMED.delta[0], prior.delta[1] / ASSUMED.delta[1])
    assert unseen == pytest.approx((1, 1), abs=0.1), "nothing was seen of it"
