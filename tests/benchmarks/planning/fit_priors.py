"""Fit the planner's priors to measured errors, and judge forecasts on molecules left out.

    python tests/benchmarks/planning/fit_priors.py

Reads `errors.json` (the grid) and `known.json` (tables of the ASTEROID paper and of earlier runs)
beside this script. Every molecule is forecast by a prior fitted to the others, twice: before any
training of it (`quote`), and after its pilots (at most 50 target labels). Then the pilots
choose a point of the grid for many budgets and price ratios, and its measured error is held against
the best point that the money buys.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from prior_fitting import BEFORE, Seen, Systems, fitted, load, molecule, posterior_of

from forgefield.platform.forecasting.counts import Costs, Counts
from forgefield.platform.forecasting.error_model import ErrorModelSettings, Posterior
from forgefield.platform.forecasting.parameters import NAMES

HERE = Path(__file__).parent
MOST_PILOT = 50
RATIOS = (3.0, 7.0, 20.0, 40.0)
"""Target-tier label over middle-tier label: methanol here 7, the paper 40."""
Score = tuple[float, bool]
"""ln(predicted/actual), and whether the 80 % interval had it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--errors", type=Path, nargs="*", default=[HERE / "errors.json"])
    options = parser.parse_args()
    systems = load([*options.errors, HERE / "known.json"])
    assumed = BEFORE
    prior = fitted(systems, assumed)
    for name in NAMES:
        each = (getattr(s, name) for s in (assumed, prior, ErrorModelSettings()))
        told = zip(("assumed", "fitted", "set"), each, strict=True)
        print(f"{name:14}", *(f"{word} ({m:.3g}, {s:.2g})" for word, (m, s) in told), sep="   ")
    _print_residuals(systems, prior)
    _print_left_out(systems, assumed)


def _print_residuals(systems: Systems, prior: ErrorModelSettings) -> None:
    """How far outcomes lie from their own posterior's middle: what `model_spread` should be."""
    for system, seen in systems.items():
        posterior = posterior_of(system, seen, prior)
        rms = np.sqrt(np.mean([_score(posterior, each)[0] ** 2 for each in seen]))
        print(f"{system:20} {len(seen):3} outcomes, rms of ln residual {rms:.3f}")


def _print_left_out(systems: Systems, assumed: ErrorModelSettings) -> None:
    quotes: list[Score] = []
    piloted: list[Score] = []
    regrets: list[float] = []
    for left_out in sorted({molecule(system) for system in systems}):
        prior = fitted({s: v for s, v in systems.items() if molecule(s) != left_out}, assumed)
        for system in (s for s in systems if molecule(s) == left_out):
            known, later = [], []
            for pilots, rest in _by_seed(systems[system]):
                posterior = posterior_of(system, pilots, prior)
                later += [_score(posterior, each) for each in rest]
                regrets += list(_regrets(posterior, [*pilots, *rest]))
            known = [_score(posterior_of(system, [], prior), each) for each in systems[system]]
            _print_scores(f"{system}, quote", known)
            _print_scores(f"{system}, after pilots", later)
            quotes, piloted = quotes + known, piloted + later
    _print_scores("all, quote", quotes)
    _print_scores("all, after pilots", piloted)
    if regrets:
        within = 100 * np.mean(np.array(regrets) <= 0.1)
        worst = 100 * np.percentile(regrets, 90)
        print(
            f"split: {within:.0f} % of {len(regrets)} within 10 % of the best of the grid; ", end=""
        )
        print(f"mean {100 * np.mean(regrets):.1f} %, 90th percentile {worst:.1f} % above it")


def _by_seed(seen: Sequence[Seen]) -> Iterator[tuple[list[Seen], list[Seen]]]:
    """(pilots, what came after them) of every seed that has both."""
    for seed in sorted({each.seed for each in seen}):
        of_seed = [each for each in seen if each.seed == seed]
        pilots = [each for each in of_seed if each.outcome.counts.target <= MOST_PILOT]
        rest = [each for each in of_seed if each.outcome.counts.target > MOST_PILOT]
        if pilots and rest:
            yield pilots, rest


def _score(posterior: Posterior, seen: Seen) -> Score:
    outcome = seen.outcome
    forecast = posterior.forecast(outcome.counts, outcome.kind, frames=outcome.frames)
    error = outcome.error
    return float(np.log(forecast.median / error)), forecast.low <= error <= forecast.high


def _regrets(posterior: Posterior, seen: Sequence[Seen]) -> Iterator[float]:
    """Excess of the chosen point's measured error over the best one's that the money buys."""
    points: dict[Counts, float] = {s.outcome.counts: s.outcome.error for s in seen}
    for ratio in RATIOS:
        costs = Costs(ratio, 1.0, 0.0)
        for budget in sorted({costs.of(point) for point in points}):
            bought = [point for point in points if costs.of(point) <= budget]
            if len(bought) >= 4:
                chosen = bought[int(posterior.log_errors(bought).mean(0).argmin())]
                yield points[chosen] / min(points[point] for point in bought) - 1


def _print_scores(name: str, scores: Sequence[Score]) -> None:
    if scores:
        off, inside = zip(*scores, strict=True)
        middle = float(np.median(np.abs(off)))
        print(
            f"{name:30} n {len(off):3}  80 % interval covers {100 * np.mean(inside):3.0f} %", end=""
        )
        print(f"  median |ln(predicted/actual)| {middle:.3f}  bias {np.mean(off):+.2f}")


if __name__ == "__main__":
    main()
