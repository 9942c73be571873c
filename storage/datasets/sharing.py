"""Who trains on what: an epoch's shuffled frames, shared out to ranks and workers in batches.

Every frame comes once an epoch, every shard gets the same number of batches (ranks that wait for
each other's gradients would hang otherwise), and batches of an epoch differ by one frame at most.
No frame is padded or dropped. All follows from (seed, epoch), so an epoch can be resumed anywhere.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from forgefield.storage.errors import InputError
from forgefield.storage.ragged import Integers

Batch = TypeVar("Batch")


@dataclass(frozen=True, slots=True)
class Shard:
    """One rank of several, or one loading worker of one of them."""

    number: int = 0
    shards: int = 1

    def __post_init__(self) -> None:
        """Raise `InputError` for a number that isn't one of the shards."""
        if not 0 <= self.number < self.shards:
            raise InputError(f"Rank {self.number} isn't among {self.shards}. Count from 0.")

    def split(self, number: int, parts: int) -> "Shard":
        """Part `number` of `parts` of this shard."""
        return Shard(self.number * parts + number, self.shards * parts)


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """Where the batches of a shard lie in the shuffled order of `frames` frames."""

    frames: int
    batch: int
    shard: Shard = Shard()

    def __post_init__(self) -> None:
        """Raise `InputError` where a shard would get nothing."""
        if self.batch < 1:
            raise InputError(f"A batch holds at least one frame, not {self.batch}.")
        if self.frames < self.shard.shards:
            raise InputError(
                f"{self.frames} frames can't be shared by {self.shard.shards} ranks and workers. "
                "Take fewer, or label more."
            )

    @property
    def batches(self) -> int:
        """How many batches each shard gets."""
        smallest, rest = divmod(self.frames, self.shard.shards)
        largest = smallest + (rest > 0)
        return min(-(-largest // self.batch), smallest)

    def bounds(self, number: int) -> tuple[int, int]:
        """First place in the shuffled order of batch `number`, and the one behind its last."""
        first, last = _part(self.frames, self.shard.number, self.shard.shards)
        start, stop = _part(last - first, number, self.batches)
        return first + start, first + stop


def _part(length: int, number: int, parts: int) -> tuple[int, int]:
    """Bounds of one of nearly equal parts."""
    return length * number // parts, length * (number + 1) // parts


class Epochs(ABC, Generic[Batch]):
    """Batches epoch by epoch; iterating once is one epoch, the next time is the next one.

    `state_dict` and `load_state_dict` resume an epoch in its middle. Loaders that fetch ahead take
    more batches than were trained on: tell `state_dict` how many were.
    """

    def __init__(self, identity: Mapping[str, int | str]) -> None:
        """`identity` is what must be equal when a state is loaded."""
        self.epoch = 0
        self._identity = dict(identity)
        self._start = 0
        self._done = 0

    @abstractmethod
    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from number `start` on; changes nothing here."""

    def __iter__(self) -> Iterator[Batch]:
        self._done, self._start = self._start, 0
        for batch in self.batches(self.epoch, self._done):
            self._done += 1
            yield batch
        self.set_epoch(self.epoch + 1)

    def set_epoch(self, epoch: int) -> None:
        """Start this epoch the next time, or go on in it where a state of it was loaded."""
        start = self._start if epoch == self.epoch else 0
        self.epoch, self._start, self._done = epoch, start, start

    def state_dict(self, done: int | None = None) -> dict[str, int | str]:
        """Where training is: `done` batches of this epoch, by default all that were given out."""
        return {
            **self._identity,
            "epoch": self.epoch,
            "done": self._done if done is None else done,
        }

    def load_state_dict(self, state: Mapping[str, int | str]) -> None:
        """Go on where the state was taken; raises `InputError` where it is of other data."""
        refuse_others(self._identity, state)
        self.epoch = int(state["epoch"])
        self._start = self._done = int(state["done"])


def refuse_others(identity: Mapping[str, int | str], state: Mapping[str, int | str]) -> None:
    """Raise `InputError` where a state to resume isn't of these data and settings."""
    for name, value in identity.items():
        if state.get(name) != value:
            raise InputError(
                f"The state to resume has {name} {state.get(name)!r}, this is {value!r}. "
                "Resume with the data and settings that it was saved with."
            )


class SharedBatches(Epochs[Integers]):
    """Index arrays of the batches of one rank: a `batch_sampler` for frames in memory."""

    def __init__(self, frames: int, batch: int, *, seed: int = 0, shard: Shard = Shard()) -> None:
        """Raises `InputError` for more ranks than frames."""
        super().__init__({"frames": frames, "batch": batch, "seed": seed, "shards": shard.shards})
        self._plan = BatchPlan(frames, batch, shard)
        self._seed = seed

    def __len__(self) -> int:
        return self._plan.batches

    def batches(self, epoch: int, start: int = 0) -> Iterator[Integers]:
        """Index arrays of an epoch from batch `start` on."""
        order = np.random.default_rng([self._seed, epoch]).permutation(self._plan.frames)
        for number in range(start, len(self)):
            first, last = self._plan.bounds(number)
            yield order[first:last]
