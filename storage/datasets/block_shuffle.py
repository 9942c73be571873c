"""Shuffled batches from a store larger than memory.

Blocks come in random order, `window` of them at a time, and the frames of a window are shuffled
among themselves. All follows from (seed, epoch); a resumed epoch reads only the blocks that are
left. Memory: two windows of about 1000 frames a block (one in use, one being read).
"""

from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from forgefield.storage.datasets.flat_frames import FlatFrames
from forgefield.storage.datasets.sharing import BatchPlan, Epochs, Shard
from forgefield.storage.datasets.stored_blocks import StoredBlocks
from forgefield.storage.errors import InputError
from forgefield.storage.frames import TRAINING_PURPOSES
from forgefield.storage.ragged import Integers, offsets
from forgefield.storage.records import Method, Purpose

WINDOW = 8
THREADS = 2


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """Blocks that are shuffled together, and where their frames lie in the epoch's order."""

    number: int
    blocks: Integers
    first: int
    last: int


class BlockShuffle(Epochs[FlatFrames]):
    """Batches of one rank, as `FlatFrames`; see the module."""

    def __init__(
        self,
        path: Path | str,
        batch: int,
        *,
        seed: int = 0,
        window: int = WINDOW,
        shard: Shard = Shard(),  # noqa: B008
        purposes: Collection[Purpose] = TRAINING_PURPOSES,
        version: int | None = None,
        dtype: DTypeLike = np.float64,
        method: Method | str | None = None,
        several_methods: bool = False,
    ) -> None:
        """The store at `path` as of `version` rows, by default all that are there now.

        `method` or its name chooses among several; `several_methods` takes all of them.

        Raises `StorageError` for a damaged store, `HoldoutLocked` where it is, `InputError` for
        more ranks than frames and for methods that nobody chose from.
        """
        if window < 1:
            raise InputError(f"The shuffle's window is at least one block, not {window}.")
        self._blocks = StoredBlocks(
            path, purposes, version, dtype, method=method, several_methods=several_methods
        )
        self.methods = self._blocks.methods
        """What `method_F` of a batch counts in."""
        frames = int(self._blocks.counts.sum())
        self._plan = BatchPlan(frames, batch, shard)
        self._seed, self._window = seed, window
        chosen = method.name if isinstance(method, Method) else method
        super().__init__(
            {
                **({} if chosen is None else {"method": chosen}),
                "uuid": self._blocks.uuid,
                "version": self._blocks.version,
                "frames": frames,
                "batch": batch,
                "seed": seed,
                "window": window,
                "shards": shard.shards,
            }
        )

    def __len__(self) -> int:
        return self._plan.batches

    def batches(
        self, epoch: int, start: int = 0, shard: Shard | None = None
    ) -> Iterator[FlatFrames]:
        """The batches of an epoch from number `start` on, of another shard if one is given."""
        plan = self._plan if shard is None else self.plan_of(shard)
        bounds = [plan.bounds(number) for number in range(start, plan.batches)]
        if not bounds:
            return
        pieces = self._pieces(epoch, bounds[0][0], bounds[-1][1])
        first, frames, order = next(pieces)
        for low, high in bounds:
            parts = [frames.batch(order[low - first : high - first])]
            while high > first + len(order):
                first, frames, order = next(pieces)
                parts.append(frames.batch(order[: high - first]))
            yield FlatFrames.concatenate([part for part in parts if len(part)])

    def plan_of(self, shard: Shard) -> BatchPlan:
        """The plan of another shard of the same frames."""
        return BatchPlan(self._plan.frames, self._plan.batch, shard)

    @property
    def shard(self) -> Shard:
        """The rank whose batches these are."""
        return self._plan.shard

    def _pieces(
        self, epoch: int, first: int, last: int
    ) -> Iterator[tuple[int, FlatFrames, Integers]]:
        """Windows that hold places `first` to `last`: first place, frames, and their order.

        The next window is read while one is in use.
        """
        wanted = [w for w in self._windows(epoch) if w.first < last and w.last > first]
        with ThreadPoolExecutor(THREADS) as pool:
            coming = [pool.submit(self._blocks.block, int(b)) for b in wanted[0].blocks]
            for window, following in zip(wanted, [*wanted[1:], None], strict=True):
                frames = FlatFrames.concatenate([block.result() for block in coming])
                blocks = () if following is None else following.blocks
                coming = [pool.submit(self._blocks.block, int(b)) for b in blocks]
                dice = np.random.default_rng([self._seed, epoch, window.number])
                yield window.first, frames, dice.permutation(len(frames))

    def _windows(self, epoch: int) -> list[_Window]:
        order = np.random.default_rng([self._seed, epoch]).permutation(len(self._blocks.counts))
        order = order[self._blocks.counts[order] > 0]
        ends = offsets(self._blocks.counts[order])
        starts = range(0, len(order), self._window)
        bounds = [(a, min(a + self._window, len(order))) for a in starts]
        return [
            _Window(number, order[a:b], int(ends[a]), int(ends[b]))
            for number, (a, b) in enumerate(bounds, start=1)
        ]
