"""What a label will cost, from what labels of other molecules have cost on the same host.

`labelers/costs.py` predicts a cost from basis functions and orbitals; here the ratio measured over
predicted is carried from the molecules that were measured to one that wasn't. ln ratio is a
Gaussian process over ln predicted cost: a constant (this host, this method), a part that changes
with size over `REACH` (the formula's error) and a part of each molecule's own. So the answer
narrows with every molecule measured, and widens again towards the general model as the size gets
far from theirs. Geometries of one molecule scatter too; their spread is pooled over molecules.
Labels on other numbers of threads, or by another version of the program, say less: how threads
share a label walks away from the formula with every doubling, and another version has an offset.

Without any measurement the variances add up to the general model's ×/÷ 2.5, on one thread. They
are priors, not fits; how well they do is in `tests/benchmarks/labels/RESULTS.md`, section Cost
model.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Self

import numpy as np
from numpy.typing import NDArray

NINE_IN_TEN = NormalDist().inv_cdf(0.95)
"""Half the width of a 90 % range, in standard deviations."""
HOST = 0.46
SIZE = 0.25
MOLECULE = 0.10
GEOMETRY = 0.16
"""Standard deviations of ln cost: host and method, size, molecule, geometry (×/÷ 1.3 for 90 %)."""
THREADS = 0.30
"""Of a doubling of threads. Seen once: DFT of methanol takes 1.69 times the core-seconds on two
threads, where the formula has 1.1."""
VERSION = 0.20
"""Of another version of the program: a faster BLAS was worth a quarter."""
REACH = math.log(10)
"""ln predicted cost over which the size part forgets."""
PRIOR_LABELS = 2.0
"""How many labels `GEOMETRY` counts for, beside the scatter that was seen."""


@dataclass(frozen=True, slots=True)
class Measured:
    """`labels` of one molecule: predicted and mean core-seconds, sample deviation of ln cost.

    `scatter` is NaN where fewer than two labels are behind it; `current`: by the version of the
    program that would make the next ones.
    """

    molecule: str
    predicted: float
    core_seconds: float
    labels: int
    scatter: float = math.nan
    threads: int = 1
    current: bool = True

    def times(self, loss: float) -> Self:
        """The same labels where both formula and cost are `loss` times as much."""
        predicted, core_seconds = loss * self.predicted, loss * self.core_seconds
        return replace(self, predicted=predicted, core_seconds=core_seconds)


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


def scaled_cost(predicted: float, measured: Sequence[Measured], threads: int = 1) -> Scaled:
    """The cost of a label of a molecule of its own, whose formula says `predicted` on `threads`.

    `measured` are as this many threads would have it, by the same formula.
    """
    scatter = pooled_scatter(measured)
    places_M2 = _places((each.predicted, each.threads) for each in measured)
    ratios_M = np.log([each.core_seconds / each.predicted for each in measured])
    noise_M = [MOLECULE**2 + scatter**2 / each.labels for each in measured]
    foreign_M = np.array([not each.current for each in measured], dtype=np.float64)
    among_MM = _covariance(places_M2, places_M2) + np.diag(noise_M)
    among_MM += VERSION**2 * np.outer(foreign_M, foreign_M)
    place_12 = _places([(predicted, threads)])
    towards_M1 = _covariance(places_M2, place_12)
    weights_M1 = np.linalg.solve(among_MM, towards_M1)
    mean = float(weights_M1[:, 0] @ ratios_M)
    left = float((_covariance(place_12, place_12) - weights_M1.T @ towards_M1)[0, 0])
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


def _places(labels: Iterable[tuple[float, int]]) -> NDArray[np.float64]:
    """(M, 2) ln predicted cost, and doublings of one thread."""
    places = [(math.log(predicted), math.log2(threads)) for predicted, threads in labels]
    return np.array(places, dtype=np.float64).reshape(-1, 2)


def _covariance(left_M2: NDArray[np.float64], right_N2: NDArray[np.float64]) -> NDArray[np.float64]:
    apart_MN = np.abs(left_M2[:, None, 0] - right_N2[None, :, 0])
    doublings_MN = np.minimum(left_M2[:, None, 1], right_N2[None, :, 1])
    shared_MN = SIZE**2 * np.exp(-apart_MN / REACH) + THREADS**2 * doublings_MN
    return np.asarray(HOST**2 + shared_MN)


def _range(core_seconds: float, deviation: float) -> Scaled:
    factor = math.exp(NINE_IN_TEN * deviation)
    return Scaled(core_seconds, core_seconds / factor, core_seconds * factor)
