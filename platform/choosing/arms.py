"""What each arm of a round brought: was what the committee chose really harder than chance?

Judged by the model *before* the round, whose committee made the choice and which has seen none of
the new labels: its errors on the chosen frames against its errors on the random ones. That is what
choosing can promise. Whether harder frames also make a better force field is another question,
which a round can't answer (some find that they don't, arXiv 2408.11191), so the random arm stays.

Intervals are 95 %, of two independent samples: Welch's t below 20 frames in an arm, where a
bootstrap covers too little, else a seeded bootstrap of both.

Legend: `F` newly labelled frames. kcal/mol/Å, mean absolute force error of a frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit
from scipy.stats import spearmanr

from forgefield.platform.choosing.picking import Arm
from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.records import Array
from forgefield.trainers.evaluation.errors import force_errors_by_frame
from forgefield.trainers.evaluation.intervals import (
    BLOCK,
    DRAWS,
    FEWEST_TO_DRAW,
    LEVEL,
    Interval,
    interval_of_mean,
)
from forgefield.trainers.force_field import ForceField


@dataclass(frozen=True, slots=True)
class ArmResult:
    """Error of the model before the round on the labels of one arm."""

    arm: Arm
    frames: int
    error_kcal: Interval


@dataclass(frozen=True, slots=True)
class ArmsCompared:
    """Both arms; `difference_kcal` is chosen minus random, infinite ends where it can't be told.

    `rank_correlation` is Spearman's of disagreement and error over the frames of both arms, NaN
    for fewer than 3: whether the committee knew.
    """

    random: ArmResult | None
    chosen: ArmResult | None
    difference_kcal: Interval
    rank_correlation: float

    @property
    def verdict(self) -> str:
        """The chosen frames are "harder" or "easier" beyond the interval, or it's "undecided"."""
        if self.difference_kcal.low > 0:
            return "harder"
        return "easier" if self.difference_kcal.high < 0 else "undecided"

    def sentence(self) -> str:
        """For the report."""
        if self.random is None or self.chosen is None:
            return "One arm has no labels, so nothing can be said of the other."
        found, gap = self.difference_kcal, abs(self.difference_kcal.value)
        most = f"{self.chosen.frames} chosen frames against {self.random.frames} random ones"
        if not np.isfinite(found.low):
            return f"Too few labels to compare the arms ({most})."
        ends = f"95 %: {found.low:.2f} to {found.high:.2f}"
        if self.verdict == "undecided":
            return (
                f"Choosing found no harder frames than chance did: {found.value:+.2f} kcal/mol/Å "
                f"({ends}; {most})."
            )
        more = "more" if self.verdict == "harder" else "less"
        return (
            f"The force field before the round erred on the chosen frames by {gap:.2f} kcal/mol/Å "
            f"{more} than on the random ones ({ends}; {most})."
        )


def errors_before(force_field: ForceField, frames: Frames) -> Array:
    """Mean absolute force error of each new frame, (F,) kcal/mol/Å, by the model before."""
    return force_errors_by_frame(force_field.predict(frames)[1], frames)[0]


def compare_arms(
    errors_F: Array,
    arms_F: Sequence[Arm],
    disagreement_F: Array | None = None,
    *,
    seed: int = 0,
) -> ArmsCompared:
    """Both arms of one round; raises `InputError` where there isn't one arm for each error."""
    if len(errors_F) != len(arms_F) or not np.isfinite(errors_F).all():
        raise InputError(
            f"{len(errors_F)} errors for {len(arms_F)} picks: give one finite error each, and "
            "leave labels out that failed"
        )
    mask_F = np.array([arm == Arm.CHOSEN for arm in arms_F], dtype=bool)
    random_F, chosen_F = errors_F[~mask_F], errors_F[mask_F]
    return ArmsCompared(
        random=_result(Arm.RANDOM, random_F, seed),
        chosen=_result(Arm.CHOSEN, chosen_F, seed),
        difference_kcal=_difference(chosen_F, random_F, seed),
        rank_correlation=_rank_correlation(disagreement_F, errors_F),
    )


def _result(arm: Arm, errors_F: Array, seed: int) -> ArmResult | None:
    if not len(errors_F):
        return None
    found = interval_of_mean(errors_F, np.ones(len(errors_F)), seed=seed)
    return ArmResult(arm, len(errors_F), found.from_zero())


def _difference(chosen_F: Array, random_F: Array, seed: int) -> Interval:
    fewest = min(len(chosen_F), len(random_F))
    if not fewest:
        return Interval(np.nan, -np.inf, np.inf)
    value = float(chosen_F.mean() - random_F.mean())
    if fewest == 1:
        return Interval(value, -np.inf, np.inf)
    if fewest < FEWEST_TO_DRAW:
        half = _welch(chosen_F, random_F)
        return Interval(value, value - half, value + half)
    random = np.random.default_rng(seed)
    gaps = _means(chosen_F, random) - _means(random_F, random)
    low, high = np.quantile(gaps, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))


def _welch(one_F: Array, other_F: Array) -> float:
    """Half of the interval of a difference of means, variances unequal (Welch-Satterthwaite)."""
    squares = [values.var(ddof=1) / len(values) for values in (one_F, other_F)]
    if not sum(squares) > 0:
        return 0.0
    parts = [s**2 / (len(v) - 1) for s, v in zip(squares, (one_F, other_F), strict=True)]
    freedom = sum(squares) ** 2 / sum(parts)
    return float(stdtrit(freedom, (1 + LEVEL) / 2) * np.sqrt(sum(squares)))


def _means(values_F: Array, random: np.random.Generator) -> Array:
    """Means of bootstrap draws, some at a time to bound the memory."""
    count = len(values_F)
    rows = [len(part) for part in np.array_split(np.arange(DRAWS), 1 + DRAWS * count // BLOCK)]
    draws = (random.integers(0, count, (part, count)) for part in rows)
    return np.concatenate([values_F[draw].mean(axis=1) for draw in draws])


def _rank_correlation(disagreement_F: Array | None, errors_F: Array) -> float:
    if disagreement_F is None or len(errors_F) < 3:
        return float("nan")
    if not (np.ptp(disagreement_F) > 0 and np.ptp(errors_F) > 0):
        return float("nan")
    return float(spearmanr(disagreement_F, errors_F).statistic)
