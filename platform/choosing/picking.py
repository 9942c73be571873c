"""Which candidates the chosen arm of a round labels: those where the committee is least sure.

The random arm needs no model and no candidates: it is the next of the pool (`rounds.candidates`).
The chosen arm is greedy: the next is the candidate with the largest

    score = disagreement · distance to the nearest geometry that is labelled or picked.

Never picked: what is alike to a labelled geometry, to one kept for validation or as the hold-out,
or to another pick. Pure: state in, picks out.

Legend: `F` candidates, `G` labelled geometries, `H` barred ones, `D` columns of the descriptor
(`shapes`). Å; disagreements in any unit.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

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

    `rank` counts from 0, most wanted first; `score` is the product above at the time of the pick.
    """

    place: int
    rank: int
    score: float


def choose(
    features_FD: Array,
    disagreement_F: Array,
    labelled_GD: Array,
    count: int,
    *,
    barred_HD: Array | None = None,
    alike: float = ALIKE_A,
) -> list[Pick]:
    """Up to `count` picks, fewer where candidates run out, each alike to the one before.

    `barred_HD` are geometries of validation and hold-out. Candidates on which nobody disagrees are
    told apart by distance alone. Raises `InputError` for numbers that aren't finite.
    """
    _refuse_strange(features_FD, disagreement_F, count)
    batch = _Batch(features_FD, labelled_GD, alike)
    if barred_HD is not None:
        batch.bar(barred_HD)
    batch.take_best(count, disagreement_F)
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

    def take_best(self, count: int, disagreement_F: Array) -> None:
        """Up to `count` more."""
        weight_F = disagreement_F if disagreement_F.any() else np.ones(len(disagreement_F))
        for rank in range(count):
            if not self._open_F.any():
                return
            far_F = np.where(np.isfinite(self._nearest_F), self._nearest_F, 1.0)
            score_F = np.where(self._open_F, weight_F * far_F, -np.inf)
            best = int(np.argmax(score_F))
            self._take(Pick(best, rank, float(score_F[best])))

    def _take(self, pick: Pick) -> None:
        own_1D = self._features_FD[[pick.place]]
        self.picks.append(pick)
        self.bar(own_1D)
        self._open_F[pick.place] = False
        np.minimum(self._nearest_F, nearest(self._features_FD, own_1D), out=self._nearest_F)


def _refuse_strange(features_FD: Array, disagreement_F: Array, count: int) -> None:
    if len(features_FD) != len(disagreement_F):
        raise InputError(
            f"{len(features_FD)} candidates have {len(disagreement_F)} disagreements: give one each"
        )
    if not (np.isfinite(features_FD).all() and np.isfinite(disagreement_F).all()):
        raise InputError("candidates hold numbers that aren't finite: leave those out before")
    if (disagreement_F < 0).any():
        raise InputError(f"a disagreement can't be negative, and one is {disagreement_F.min():g}")
    if count < 0:
        raise InputError(f"can't choose {count} candidates: give a count from 0 on")


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
