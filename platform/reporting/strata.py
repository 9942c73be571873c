"""Differences of two arms in several rounds, taken together.

Errors fall from round to round, so frames of different rounds are never compared: each round gives
its own difference of means, and these are averaged with the weights `n_c n_r/(n_c + n_r)` that are
best where all frames scatter alike (Cochran, Biometrics 10, 417, 1954). The interval is Welch's t
with Satterthwaite's degrees of freedom for the sum over all arms.

Legend: `C` frames of the chosen arm, `R` of the random one.
"""

from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

from forgefield.storage.records import Array
from forgefield.trainers.evaluation.intervals import LEVEL, Interval

Stratum = tuple[Array, Array]
"""Values (C,) and (R,) of one round."""
FEWEST = 2
"""Frames below which an arm says nothing of its spread."""


def difference_within(strata: Sequence[Stratum]) -> Interval | None:
    """Mean of the first minus mean of the second arm, at 95 %; None where no round has both."""
    usable = [(one, two) for one, two in strata if min(len(one), len(two)) >= FEWEST]
    if not usable:
        return None
    weights = np.array([len(one) * len(two) / (len(one) + len(two)) for one, two in usable])
    weights /= weights.sum()
    gaps = np.array([one.mean() - two.mean() for one, two in usable])
    value = float(weights @ gaps)
    parts = [
        (weight**2 * arm.var(ddof=1) / len(arm), len(arm) - 1)
        for weight, both in zip(weights, usable, strict=True)
        for arm in both
    ]
    variance = sum(part for part, _ in parts)
    if not variance > 0:
        return Interval(value, value, value)
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts)
    half = float(stdtrit(freedom, (1 + LEVEL) / 2) * np.sqrt(variance))
    return Interval(value, value - half, value + half)


def relative_difference(strata: Sequence[Stratum]) -> float:
    """The same difference, in parts of the second arm's mean; NaN where no round has both."""
    usable = [(one, two) for one, two in strata if min(len(one), len(two)) >= FEWEST]
    if not usable:
        return float("nan")
    weights = [len(one) * len(two) / (len(one) + len(two)) for one, two in usable]
    base = sum(w * two.mean() for w, (_, two) in zip(weights, usable, strict=True))
    gap = sum(w * (one.mean() - two.mean()) for w, (one, two) in zip(weights, usable, strict=True))
    return float(gap / base)
