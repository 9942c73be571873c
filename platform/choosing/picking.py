"""Which candidates are labelled next: half at random, half where the committee is least sure.

The random arm is the beginning of one seeded order of all fair candidates, so a larger batch
holds the random arm of a smaller one, and nothing of it depends on the model: it is what the
chosen arm is compared with, and it can't be led astray by a committee that agrees on nonsense.
The chosen arm is greedy: the next is the candidate with the largest

    score = disagreement · distance to the nearest geometry that is labelled or picked.

Never picked: what is alike to a labelled geometry, to one kept for validation or as the hold-out,
or to another pick. Pure: state in, picks out.

Legend: `F` candidates, `G` labelled geometries, `H` barred ones, `D` columns of the descriptor
(`shapes`). Å; disagreements in any unit.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from forgefield.platform.choosing.shapes import distances, nearest
from forgefield.storage.errors import InputError
from forgefield.storage.records import Array

ALIKE_A = 0.01
"""Å; as in splits (`storage.splitting`)."""


class Arm(StrEnum):
    """Why a candidate was taken."""

    RANDOM = "random"
    CHOSEN = "chosen"


@dataclass(frozen=True, slots=True)
class Pick:
    """A candidate by its place among the candidates.

    `rank` counts within its arm from 0, most wanted first. `score` is the product above at the
    time of the pick, NaN for the random arm.
    """

    place: int
    arm: Arm
    rank: int
    score: float = math.nan


def choose(
    features_FD: Array,
    disagreement_F: Array,
    labelled_GD: Array,
    count: int,
    *,
    seed: int,
    barred_HD: Array | None = None,
    fair_F: NDArray[np.bool_] | None = None,
    random_share: float = 0.5,
    alike: float = ALIKE_A,
) -> list[Pick]:
    """Up to `count` picks, fewer where candidates run out, each alike to the one before.

    `barred_HD` are geometries of validation and hold-out. `fair_F` marks candidates drawn as
    those that the force field will be judged on are; the random arm takes no others, all being
    fair by default, and what it can't fill is left to the chosen arm. Candidates on which nobody
    disagrees are told apart by distance alone. Raises `InputError` for numbers that aren't finite.
    """
    _refuse_strange(features_FD, disagreement_F, count, random_share)
    batch = _Batch(features_FD, labelled_GD, alike)
    if barred_HD is not None:
        batch.bar(barred_HD)
    fair = np.ones(len(features_FD), dtype=bool) if fair_F is None else fair_F
    batch.draw(math.ceil(random_share * count), fair, np.random.default_rng(seed))
    batch.take_best(count - len(batch.picks), disagreement_F)
    return _warm_order(batch.picks, features_FD)


class _Batch:
    """Picks so far, which candidates are still open, and how far each is from all that is known."""

    def __init__(self, features_FD: Array, labelled_GD: Array, alike: float) -> None:
        self.picks: list[Pick] = []
        self._features_FD, self._alike = features_FD, alike
        self._open_F = np.ones(len(features_FD), dtype=bool)
        self._nearest_F = nearest(features_FD, labelled_GD)
        self.bar(labelled_GD)

    def bar(self, others_GD: Array) -> None:
        """Close candidates that are alike to any of `others`."""
        self._open_F &= nearest(self._features_FD, others_GD, "largest") > self._alike

    def draw(self, count: int, fair_F: NDArray[np.bool_], random: np.random.Generator) -> None:
        """The random arm."""
        for place in random.permutation(len(fair_F)).tolist():
            if len(self.picks) >= count:
                return
            if fair_F[place] and self._open_F[place]:
                self._take(Pick(place, Arm.RANDOM, len(self.picks)))

    def take_best(self, count: int, disagreement_F: Array) -> None:
        """The chosen arm."""
        weight_F = disagreement_F if disagreement_F.any() else np.ones(len(disagreement_F))
        for rank in range(count):
            if not self._open_F.any():
                return
            far_F = np.where(np.isfinite(self._nearest_F), self._nearest_F, 1.0)
            score_F = np.where(self._open_F, weight_F * far_F, -np.inf)
            best = int(np.argmax(score_F))
            self._take(Pick(best, Arm.CHOSEN, rank, float(score_F[best])))

    def _take(self, pick: Pick) -> None:
        own_1D = self._features_FD[[pick.place]]
        self.picks.append(pick)
        self.bar(own_1D)
        self._open_F[pick.place] = False
        np.minimum(self._nearest_F, nearest(self._features_FD, own_1D), out=self._nearest_F)


def _refuse_strange(features_FD: Array, disagreement_F: Array, count: int, share: float) -> None:
    if len(features_FD) != len(disagreement_F):
        raise InputError(
            f"{len(features_FD)} candidates have {len(disagreement_F)} disagreements: give one each"
        )
    if not (np.isfinite(features_FD).all() and np.isfinite(disagreement_F).all()):
        raise InputError("candidates hold numbers that aren't finite: leave those out before")
    if (disagreement_F < 0).any():
        raise InputError(f"a disagreement can't be negative, and one is {disagreement_F.min():g}")
    if count < 0 or not 0 <= share <= 1:
        raise InputError(
            f"can't choose {count} candidates with a share of {share:g} at random: give a count "
            "from 0 on and a share from 0 to 1"
        )


def _warm_order(picks: list[Pick], features_FD: Array) -> list[Pick]:
    """A chain from one end to the nearest pick that is left, and so on: labels start warm."""
    if len(picks) < 3:
        return picks
    own_ND = features_FD[[pick.place for pick in picks]]
    far_NN = distances(own_ND, own_ND)
    chain, left = [int(far_NN[0].argmax())], set(range(len(picks)))
    while left := left - {chain[-1]}:
        chain.append(min(left, key=lambda place: (far_NN[chain[-1], place], place)))
    return [picks[place] for place in chain]
