"""Splits of a data set that are the same for everybody, and that no near-duplicate crosses.

Frames whose geometries are alike (`storage.likeness`), or joined by a chain of such frames, form a
group; labels of one geometry by several methods are in one group always. A group's split follows
from the smallest geometry hash in it and the seed, whatever the order of the frames. What was
bought for validation or as the hold-out stays what it is, and so does what was split before.

Legend: `F` frames, `G` groups.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.likeness import alike_pairs, kinds_of
from forgefield.storage.ragged import Integers
from forgefield.storage.records import Purpose

SPLITS = ("train", "validation", "test")
TRAIN, VALIDATION, TEST = range(3)
LEFT_OUT = -1
"""A frame alike to frames of two splits, which were told apart before it came."""
ALIKE_A = 0.01
COLUMN = "split"


@dataclass(frozen=True, slots=True)
class SplitSettings:
    """Shares of `validation` and `test`, and the `threshold` of likeness in Å."""

    validation: float = 0.1
    test: float = 0.1
    seed: int = 0
    threshold: float = ALIKE_A

    def __post_init__(self) -> None:
        """Raise `InputError` for shares that leave no training frames."""
        shares = (self.validation, self.test)
        if not all(0 <= share < 1 for share in shares) or sum(shares) >= 1:
            raise InputError(
                f"Shares of {self.validation:g} (validation) and {self.test:g} (test) leave "
                "nothing to train on. Give numbers from 0 that add up to less than 1."
            )
        if not self.threshold >= 0:
            raise InputError(f"The threshold must be 0 Å or more, not {self.threshold:g}.")

    def __str__(self) -> str:
        """One line that lets anybody make the same split again."""
        return (
            f"0 train, 1 validation, 2 test, -1 left out; shares {self.validation:g} and "
            f"{self.test:g}, seed {self.seed}, alike within {self.threshold:g} angstrom"
        )


_BOUGHT_FOR: Mapping[int, int] = {Purpose.VALIDATION: VALIDATION, Purpose.HOLDOUT: TEST}


def split_frames(
    frames: Frames,
    settings: SplitSettings,
    before_F: Integers | None = None,
    group_F: Integers | None = None,
) -> Integers:
    """The split of each frame, (F,), an index into `SPLITS` or `LEFT_OUT`.

    `before_F` holds what frames were given before, -1 for new ones; it never changes. `group_F`
    saves the search for alike frames where it was made already.
    """
    given_F = np.full(len(frames), -1) if before_F is None else before_F
    split_F = given_F.copy()
    if group_F is None:
        group_F = alike_groups(frames, settings.threshold)
    order_F = np.argsort(group_F, kind="stable")
    bounds = np.flatnonzero(np.diff(group_F[order_F])) + 1
    for members in np.split(order_F, bounds) if len(frames) else []:
        fresh = members[given_F[members] < 0]
        split = _split_of(frames, members, given_F[members], settings)
        split_F[fresh] = split
        if split == LEFT_OUT:
            split_F[fresh[frames.purpose_F[fresh] == Purpose.HOLDOUT]] = TEST
    return split_F


def alike_groups(frames: Frames, threshold: float) -> Integers:
    """Group (F,) of each frame: alike frames, and chains of them, share one."""
    links = [alike_pairs(frames, members, threshold) for members in kinds_of(frames)]
    first, second = np.concatenate([np.empty((0, 2), dtype=np.int64), *links]).T
    size = len(frames)
    graph = coo_array((np.ones(len(first), dtype=bool), (first, second)), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _split_of(frames: Frames, members: Integers, given: Integers, settings: SplitSettings) -> int:
    purposes = frames.purpose_F[members].tolist()
    claimed = {int(split) for split in given if split >= 0}
    claimed |= {_BOUGHT_FOR[purpose] for purpose in purposes if purpose in _BOUGHT_FOR}
    if len(claimed) == 1:
        return claimed.pop()
    if claimed:
        return LEFT_OUT
    smallest = min(row.tobytes() for row in frames.geometry_F[members])
    digest = hashlib.blake2b(smallest, digest_size=8, salt=_salt(settings.seed)).digest()
    draw = int.from_bytes(digest, "big") / 2**64
    if draw < settings.test:
        return TEST
    return VALIDATION if draw < settings.test + settings.validation else TRAIN


def _salt(seed: int) -> bytes:
    return seed.to_bytes(16, "big", signed=True)


def holdout_twins(frames: Frames, split_F: Integers, group_F: Integers) -> int:
    """Hold-out frames alike to training frames, as where a hold-out is bought after a split.

    Nothing is moved for them: what was split stays. Their errors flatter a model.
    """
    trained = np.isin(group_F, group_F[split_F == TRAIN])
    return int((trained & (frames.purpose_F == Purpose.HOLDOUT)).sum())


def counts(split_F: Integers) -> dict[str, int]:
    """Frames of each split, and those left out."""
    names = dict(enumerate(SPLITS)) | {LEFT_OUT: "left out"}
    return {name: int((split_F == place).sum()) for place, name in names.items()}
