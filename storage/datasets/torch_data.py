"""Frames for PyTorch's `DataLoader`: from memory by index, or from a store larger than memory.

    data = TorchFrames(load_frames(path))
    DataLoader(data, batch_sampler=SharedBatches(len(data), 32), collate_fn=collate)
    DataLoader(TorchStream(BlockShuffle(path, 32)), batch_size=None, num_workers=2)

Batches come whole: nothing is collated frame by frame. Legend: `F` frames, `A` atoms.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from forgefield.storage.datasets.block_shuffle import BlockShuffle
from forgefield.storage.datasets.flat_frames import FlatFrames, Reals
from forgefield.storage.datasets.sharing import refuse_others
from forgefield.storage.frames import Frames
from forgefield.storage.ragged import Integers


class TorchBatch(NamedTuple):
    """A batch of molecules, one after another.

    `numbers` (A,), `positions` and `forces` (A, 3), `energy` (F,) in double precision, `ptr`
    (F + 1,) first atom of each frame and the end, `batch` (A,) the frame of each atom; `cell` and
    `stress` (F, 3, 3), NaN where a frame has none, `None` where none has; `charge` e,
    `multiplicity` and `method` (F,), an index into the source's `methods`. Å, eV, eV/Å, eV/Å³.
    """

    numbers: Tensor
    positions: Tensor
    forces: Tensor
    energy: Tensor
    ptr: Tensor
    batch: Tensor
    cell: Tensor | None
    stress: Tensor | None
    charge: Tensor
    multiplicity: Tensor
    method: Tensor


def to_torch(flat: FlatFrames) -> TorchBatch:
    """Tensors that share the memory of the arrays."""
    return TorchBatch(
        numbers=torch.from_numpy(flat.numbers),
        positions=torch.from_numpy(flat.positions_A3),
        forces=torch.from_numpy(flat.forces_A3),
        energy=torch.from_numpy(flat.energy_F),
        ptr=torch.from_numpy(flat.ptr),
        batch=torch.from_numpy(flat.frame_A),
        cell=_maybe(flat.cell_F33),
        stress=_maybe(flat.stress_F33),
        charge=torch.from_numpy(flat.charge_F),
        multiplicity=torch.from_numpy(flat.multiplicity_F),
        method=torch.from_numpy(flat.method_F),
    )


class TorchFrames(Dataset[TorchBatch]):
    """Frames in memory by index; `dtype` of all but the energies is a NumPy one.

    Raises `InputError` for frames of several methods, unless `several_methods` are asked for.
    """

    def __init__(
        self,
        frames: Frames,
        dtype: type[np.floating] = np.float32,
        *,
        several_methods: bool = False,
    ) -> None:
        self._flat = FlatFrames.of(frames, dtype, several_methods=several_methods)
        self.methods = frames.methods

    def __len__(self) -> int:
        return len(self._flat)

    def __getitem__(self, index: int) -> TorchBatch:
        return self.__getitems__([range(len(self))[index]])

    def __getitems__(self, indices: Sequence[int] | Integers) -> TorchBatch:
        """A whole batch, which `collate` passes on."""
        return to_torch(self._flat.batch(indices))


def collate(batch: TorchBatch) -> TorchBatch:
    """For `DataLoader(collate_fn=…)`: batches of `TorchFrames` are whole already."""
    return batch


class TorchStream(IterableDataset[TorchBatch]):
    """Batches of a `BlockShuffle`, shared out to the workers of a `DataLoader`.

    Each worker reads its own part, and the loader takes one batch of each in turn. Iterating starts
    the same epoch again until `set_epoch`.
    """

    def __init__(self, source: BlockShuffle) -> None:
        self._source = source
        self._epoch = 0
        self._start = 0

    def __iter__(self) -> Iterator[TorchBatch]:
        worker = get_worker_info()
        place, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        number = (place + self._start) % workers
        start = -(-(self._start - number) // workers)
        shard = self._source.shard.split(number, workers)
        yield from map(to_torch, self._source.batches(self._epoch, start, shard))

    def batches(self, workers: int = 0) -> int:
        """How many batches a rank gets of an epoch with so many workers."""
        parts = max(workers, 1)
        return parts * self._source.plan_of(self._source.shard.split(0, parts)).batches

    def set_epoch(self, epoch: int) -> None:
        """Start this epoch the next time, or go on in it where a state of it was loaded.

        Call it before the loader's workers start.
        """
        self._epoch, self._start = epoch, self._start if epoch == self._epoch else 0

    def state_dict(self, done: int, workers: int = 0) -> dict[str, int | str]:
        """Where training is: `done` batches of this epoch, fetched by so many workers."""
        state = self._source.state_dict(done)
        return {**state, "epoch": self._epoch, "workers": max(workers, 1)}

    def load_state_dict(self, state: Mapping[str, int | str], workers: int = 0) -> None:
        """Go on where the state was taken, with as many workers.

        Raises `InputError` where it is of other data, settings or workers.
        """
        refuse_others({"workers": max(workers, 1)}, state)
        self._source.load_state_dict(state)
        self._epoch, self._start = int(state["epoch"]), int(state["done"])


def _maybe(boxes: Reals | None) -> Tensor | None:
    return None if boxes is None else torch.from_numpy(boxes)
