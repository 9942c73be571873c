"""Which frames train, choose and judge: the draw of the ASTEROID paper, for files of any length.

The accurate file is shuffled by `RandomState(seed)` (seed 0 in the paper). Its first n frames are
the training set, so smaller sets are parts of larger ones; its last 5 % are the validation frames
([950:1000] of the paper's 1000); all others are the test frames, or those of a file of their own.

No geometry is on two sides: a validation frame with a training frame's geometry is dropped, and
so is a test frame with the geometry of either. Cheap frames with the geometry of any of the three
(dropped ones too) are not pre-trained on.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from typing import Self

import numpy as np
from pydantic import model_validator

from forgefield.platform.foreign_labels.matching import Pairs
from forgefield.storage.documents import Document
from forgefield.storage.errors import InputError

VALIDATION_SHARE = 0.05
Index = tuple[int, ...]


class Draw(Document):
    """Frames by their places in the accurate file, in the order of the shuffle.

    `train` are the most that any row trains on. `test` counts in the test file where there is one
    (`own_test` false). `dropped_validation` and `dropped_test` have twins on another side.
    `held_back` test frames are not tested on, so that their cheap twins may be trained on.
    """

    seed: int
    train: Index
    validation: Index
    test: Index
    own_test: bool = True
    dropped_validation: Index = ()
    dropped_test: Index = ()
    held_back: int = 0
    hash: str = ""

    @model_validator(mode="after")
    def _hashed(self) -> Self:
        if not self.hash:
            object.__setattr__(self, "hash", index_hash(self.train, self.validation, self.test))
        return self

    @property
    def used(self) -> Index:
        """All places of the accurate file that pre-training may not know."""
        test = (*self.test, *self.dropped_test) if self.own_test else ()
        return (*self.train, *self.validation, *self.dropped_validation, *test)


def draw_frames(
    frames: int, repeats: Pairs, *, train: int, seed: int, validation: int | None, test: int | None
) -> Draw:
    """Draw from an accurate file of `frames` frames of which `repeats` (pairs, 2) are twins.

    `validation` replaces the share of 5 %; `test` takes only the first so many test frames, 0
    none (where they come from another file). Raises `InputError` where the file is too short.
    """
    chosen = round(VALIDATION_SHARE * frames) if validation is None else validation
    if validation is None and not chosen:
        raise InputError(
            f"The accurate file has {frames} frames, and {train} are to train: 5 % of them are no "
            "validation frame to choose by. Say --validation, or give a longer file."
        )
    if train + chosen > frames or min(train, chosen) < 1:
        raise InputError(
            f"{train} frames to train on and {chosen} for validation were asked for; the accurate "
            f"file has {frames}. Lower --budget-ccsd (or --sizes), or --validation."
        )
    order = np.random.RandomState(seed).permutation(frames).tolist()
    first, last = order[:train], order[frames - chosen :]
    rest = order[train : frames - chosen]
    kept, twins = without_twins(last, first, repeats)
    if not kept:
        raise InputError(
            f"All {chosen} validation frames have the geometry of a training frame; none is left "
            "to choose by. Give a file without duplicates, more --validation, or a smaller budget."
        )
    judged, more = without_twins(rest, [*first, *last], repeats)
    if test != 0 and not judged:
        raise InputError(
            f"All {frames} frames of the accurate file train or validate, none is left to measure "
            "the error on. Give a test file, or a smaller budget."
        )
    return Draw(
        seed=seed,
        train=tuple(first),
        validation=tuple(kept),
        test=tuple(judged[:test]),
        own_test=test != 0,
        dropped_validation=tuple(twins),
        dropped_test=tuple(more) if test != 0 else (),
    )


def with_test_file(draw: Draw, frames: int, shared: Pairs, test: int | None) -> Draw:
    """The draw with test frames from a file of `frames`; `shared` (accurate, test) are twins."""
    known = set(draw.train) | set(draw.validation) | set(draw.dropped_validation)
    twins = {other for own, other in shared.tolist() if own in known}
    kept = [place for place in range(frames) if place not in twins][:test]
    if not kept:
        raise InputError("Every frame of the test file is a training or validation frame.")
    changes = {"test": tuple(kept), "dropped_test": tuple(sorted(twins)), "own_test": False}
    return Draw.model_validate({**draw.model_dump(exclude={"hash"}), **changes})


def with_fewer_tests(draw: Draw, test: int) -> Draw:
    """The draw with its first so many test frames; the others are held back."""
    held = {"test": draw.test[:test], "held_back": draw.held_back + len(draw.test[test:])}
    return Draw.model_validate({**draw.model_dump(exclude={"hash"}), **held})


def without_twins(
    places: Sequence[int], against: Iterable[int], repeats: Pairs
) -> tuple[list[int], list[int]]:
    """`places` in two parts: those without and those with a twin among `against`."""
    known = set(against)
    twins = {j for i, j in repeats.tolist() if i in known}
    twins |= {i for i, j in repeats.tolist() if j in known}
    return [p for p in places if p not in twins], [p for p in places if p in twins]


def cheap_pool(frames: int, shared: Pairs, used: Collection[int]) -> Index:
    """Places of a cheap file whose geometry no used accurate frame has; `shared` (accurate, cheap).

    In the order of the file.
    """
    known = set(used)
    seen = {cheap for accurate, cheap in shared.tolist() if accurate in known}
    return tuple(place for place in range(frames) if place not in seen)


def cheap_draw(pool: Sequence[int], count: int, seed: int) -> Index:
    """`count` of the pool at random by `seed`: smaller draws of a seed are parts of larger ones."""
    if count > len(pool):
        raise InputError(
            f"{count} cheap frames were asked for; {len(pool)} are at hand whose geometry no "
            "accurate frame has. Lower --cost-ratio or --budget-ccsd (of a curve --low-frames), "
            "give a longer file, or test on fewer frames with --test-frames."
        )
    order = np.random.default_rng([seed, 1]).permutation(len(pool))[:count]
    return tuple(np.asarray(pool, dtype=np.int64)[order].tolist())


def each(counts: Iterable[int]) -> str:
    """Counts of several draws: `50`, or `48 to 50` where they differ."""
    found = sorted(set(counts))
    return f"{found[0]}" if len(found) == 1 else f"{found[0]} to {found[-1]}"


def index_hash(*parts: Sequence[int]) -> str:
    """Names lists of places: the same for the same lists, in any process."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(np.asarray(part, dtype="<i8").tobytes() + b"|")
    return digest.hexdigest()
