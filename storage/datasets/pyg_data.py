"""Frames for PyTorch Geometric: `Data` by index, `Batch` made at once.

`z` (A,), `pos` and `force` (A, 3), `energy`, `charge`, `multiplicity` and `method` (F,), an index
into `methods`, and where any frame has a box `cell` and `stress` (F, 3, 3), as PyG's own MD17 names
them. A batch is what `Batch.from_data_list` of its
frames would be, without the loop over frames. Edges are the model's business (`radius_graph`).

    data = PygFrames(load_frames(path))
    torch.utils.data.DataLoader(data, sampler=SharedBatches(len(data), 32), batch_size=None)

PyG's own `DataLoader(data, 32)` works too, but collates frame by frame, which is far slower.
"""

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torch_geometric.data import Batch, Data

from forgefield.storage.datasets.flat_frames import FlatFrames
from forgefield.storage.frames import Frames
from forgefield.storage.ragged import Integers

_BY_ATOM = {"z": "numbers", "pos": "positions_A3", "force": "forces_A3"}
_BY_FRAME = {
    "energy": "energy_F",
    "cell": "cell_F33",
    "stress": "stress_F33",
    "charge": "charge_F",
    "multiplicity": "multiplicity_F",
    "method": "method_F",
}


class PygFrames(Dataset[Data]):
    """Frames in memory; `dtype` of all but the energies is a NumPy one.

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

    @overload
    def __getitem__(self, which: int) -> Data: ...
    @overload
    def __getitem__(self, which: Sequence[int] | Integers) -> Batch: ...
    def __getitem__(self, which: int | Sequence[int] | Integers) -> Data | Batch:
        """One frame, or those of an index array as a batch."""
        if isinstance(which, (int, np.integer)):
            return Data(**_tensors(self._flat.batch([range(len(self))[which]])))
        return to_batch(self._flat.batch(which))


def to_batch(flat: FlatFrames) -> Batch:
    """The batch of these frames, equal to `Batch.from_data_list`."""
    tensors = _tensors(flat)
    ptr, frames = torch.from_numpy(flat.ptr), len(flat)
    each = torch.arange(frames + 1)
    batch = Batch(_base_cls=Data, **tensors, batch=torch.from_numpy(flat.frame_A), ptr=ptr)
    origins = {
        "_num_graphs": frames,
        "_slice_dict": {name: ptr if name in _BY_ATOM else each for name in tensors},
        "_inc_dict": {name: torch.zeros(frames, dtype=torch.int64) for name in tensors},
    }
    for name, value in origins.items():
        setattr(batch, name, value)
    return batch


def _tensors(flat: FlatFrames) -> dict[str, Tensor]:
    named: dict[str, Any] = {
        name: getattr(flat, field) for name, field in {**_BY_ATOM, **_BY_FRAME}.items()
    }
    return {name: torch.from_numpy(array) for name, array in named.items() if array is not None}
