"""95 % intervals of means over frames, which cover as often as they say.

Intervals are of means over *frames*, since atoms of a frame aren't independent:

- fewer than 20 frames: Student's t over per-frame values. A percentile bootstrap of 4 frames
  that says 95 % covers 80 %;
- 20 and more: seeded percentile bootstrap, its percentiles moved out to where Student's t puts
  them for that many frames (the expanded interval of Hesterberg, Am. Stat. 69, 371, 2015);
- one frame says nothing of the spread: its interval is infinite.

Both take frames for independent, and t their errors for about normal; below ten frames that
can't be checked.

Legend: `F` frames, `B` bootstrap draws.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, stdtrit

from forgefield.storage.records import Array

DRAWS = 2000
LEVEL = 0.95
FEWEST_TO_DRAW = 20
"""Frames from which on the bootstrap is used; Student's t below."""
BLOCK = 4_000_000
"""Frame indices that are drawn at once, which bounds memory."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with the two ends of its 95 % interval."""

    value: float
    low: float
    high: float

    def from_zero(self) -> "Interval":
        """The same of a quantity that can't be negative."""
        return Interval(self.value, max(self.low, 0.0), self.high)

    def root(self) -> "Interval":
        """The interval of the square root."""
        return Interval(self.value**0.5, max(self.low, 0.0) ** 0.5, self.high**0.5)


def interval_of_mean(values_F: Array, size_F: Array, *, seed: int = 0) -> Interval:
    """Mean over frames, each weighing its atoms `size_F`, and its 95 % interval.

    With unequal sizes the spread is that of a ratio estimator: residuals times relative size.
    """
    frames = len(values_F)
    value = float(np.average(values_F, weights=size_F))
    if frames == 1:
        return Interval(value, -np.inf, np.inf)
    quantile = students_quantile(frames)
    if frames < FEWEST_TO_DRAW:
        rest_F = size_F / size_F.mean() * (values_F - value)
        half = quantile * float(np.sqrt((rest_F**2).sum() / (frames * (frames - 1))))
        return Interval(value, value - half, value + half)
    tail = float(ndtr(-quantile * (frames / (frames - 1)) ** 0.5))
    low, high = np.quantile(_drawn_means(values_F, size_F, seed), [tail, 1 - tail])
    return Interval(value, float(low), float(high))


def students_quantile(count: int) -> float:
    """Standard errors from the mean of `count` values to the end of its interval."""
    return float(stdtrit(count - 1, (1 + LEVEL) / 2))


def _drawn_means(values_F: Array, size_F: Array, seed: int) -> Array:
    """Mean over atoms of each bootstrap draw, (B,)."""
    generator = np.random.default_rng(seed)
    frames = len(values_F)
    rows = max(1, BLOCK // frames)
    means = []
    for start in range(0, DRAWS, rows):
        draws = generator.integers(0, frames, size=(min(rows, DRAWS - start), frames))
        weight = size_F[draws]
        means.append((values_F[draws] * weight).sum(axis=1) / weight.sum(axis=1))
    return np.concatenate(means)
