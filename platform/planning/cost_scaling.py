"""What a label will cost, from what labels of other molecules have cost on the same host.

`labelers/costs.py` predicts a cost from basis functions and orbitals; here the ratio measured over
predicted is carried from the molecules that were measured to one that wasn't. ln ratio is a
Gaussian process over ln predicted cost: a constant (this host, this method), a part that changes
with size over `REACH` (the formula's error) and a part of each molecule's own. So the answer
narrows with every molecule measured, and widens again towards the general model as the size gets
far from theirs. Geometries of one molecule scatter too; their spread is pooled over molecules.

Without any measurement the variances add up to the general model's ×/÷ 2.5. They are priors, not
fits; how well they do is in `tests/benchmarks/labels/RESULTS.md`, section Cost model.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

NINE_IN_TEN = NormalDist().inv_cdf(0.95)
"""Half the width of a 90 % range, in standard deviations."""
HOST = 0.46
SIZE = 0.25
MOLECULE = 0.10
GEOMETRY = 0.16
"""Standard deviations of ln cost: host and method, size, molecule, geometry (×/÷ 1.3 for 90 %)."""
REACH = math.log(10)
"""ln predicted cost over which the size part forgets."""
PRIOR_LABELS = 2.0
"""How many labels `GEOMETRY` counts for, beside the scatter that was seen."""


@dataclass(frozen=True, slots=True)
class Measured:
    """`labels` of one molecule: predicted and mean core-seconds, sample deviation of ln cost.

    `scatter` is NaN where fewer than two labels are behind it.
    """

    molecule: str
    predicted: float
    core_seconds: float
    labels: int
    scatter: float = math.nan


@dataclass(frozen=True, slots=True)
class Scaled:
    """Core-seconds of one label: expected value and 90 % range."""

    core_seconds: float
    low: float
    high: float


def pooled_scatter(measured: Sequence[Measured]) -> float:
    """Standard deviation of ln cost over geometries, from all molecules and the prior."""
    seen = [(each.labels - 1, each.scatter) for each in measured if math.isfinite(each.scatter)]
    freedom = PRIOR_LABELS + sum(number for number, _ in seen)
    squares = PRIOR_LABELS * GEOMETRY**2 + sum(number * each**2 for number, each in seen)
    return math.sqrt(squares / freedom)


def scaled_cost(predicted: float, measured: Sequence[Measured]) -> Scaled:
    """The cost of a label of a molecule of its own, whose formula says `predicted`."""
    scatter = pooled_scatter(measured)
    places_M = np.log([each.predicted for each in measured])
    ratios_M = np.log([each.core_seconds / each.predicted for each in measured])
    noise_M = [MOLECULE**2 + scatter**2 / each.labels for each in measured]
    place_1 = np.array([math.log(predicted)])
    among_MM = _covariance(places_M, places_M) + np.diag(noise_M)
    towards_M1 = _covariance(places_M, place_1)
    weights_M1 = np.linalg.solve(among_MM, towards_M1)
    mean = float(weights_M1[:, 0] @ ratios_M)
    left = HOST**2 + SIZE**2 - float(weights_M1[:, 0] @ towards_M1[:, 0])
    return _range(predicted * math.exp(mean), math.sqrt(left + MOLECULE**2 + scatter**2))


def measured_cost(own: Measured, others: Sequence[Measured] = ()) -> Scaled:
    """The cost of a label of a molecule that was measured; `others` lend their scatter.

    From three labels on its own scatter stands, steadied by the prior.
    """
    scatter = pooled_scatter([own] if own.labels > PRIOR_LABELS else [own, *others])
    return _range(own.core_seconds, scatter * math.sqrt(1 + 1 / own.labels))


def range_of_mean(one: Scaled, measured: int, labels: int) -> Scaled:
    """The 90 % range of the mean cost of `labels` more, from that of one and `measured` behind it.

    One label's is scatter·√(1 + 1/measured), the mean's scatter·√(1/labels + 1/measured). Without a
    measurement the range is mostly of what all labels share, and stays.
    """
    if not measured:
        return one
    narrower = math.sqrt((1 / labels + 1 / measured) / (1 + 1 / measured))
    low, high = (
        one.core_seconds * (end / one.core_seconds) ** narrower for end in (one.low, one.high)
    )
    return Scaled(one.core_seconds, low, high)


def _covariance(left_M: NDArray[np.float64], right_N: NDArray[np.float64]) -> NDArray[np.float64]:
    apart_MN = np.abs(left_M[:, None] - right_N[None, :])
    return np.asarray(HOST**2 + SIZE**2 * np.exp(-apart_MN / REACH))


def _range(core_seconds: float, deviation: float) -> Scaled:
    factor = math.exp(NINE_IN_TEN * deviation)
    return Scaled(core_seconds, core_seconds / factor, core_seconds * factor)
