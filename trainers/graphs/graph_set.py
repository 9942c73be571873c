"""Frames with their neighbours, resident on the device, cut into batches by index arithmetic.

Legend: `F` frames, `A` atoms of all frames, `K` slots. Units: Å, eV, eV/Å.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forgefield.storage.frames import Frames
from forgefield.trainers.graphs.boxes import pairs_of_frames
from forgefield.trainers.graphs.graph import Batch, Graph
from forgefield.trainers.graphs.neighbours import Index, Slots, into_slots


class GraphSet:
    """Frames ready to be cut into batches.

    Labels are divided by `scale` in float64 and then rounded to `dtype`, so energies should be
    relative to reference energies by then, or digits are lost.
    """

    def __init__(
        self,
        frames: Frames,
        cutoff: float,
        *,
        energy_F: NDArray[np.float64] | None = None,
        weight_F: NDArray[np.float64] | None = None,
        head_F: Index | None = None,
        scale: float = 1.0,
        slots: int = 1,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        """Find all neighbours nearer than `cutoff` (Å); `weight_F` (F,) defaults to ones.

        Frames with a cell see the images of their atoms too.
        `energy_F` (F,) replaces the frames' energies, normally by those relative to the
        reference energies; energies and forces are divided by `scale` (eV/Å). `head_F` (F,) says
        which readout a frame trains, 0 by default. `slots` is the least width of the table.
        """
        ptr: Index = np.asarray(frames.ptr, dtype=np.int64)
        pairs = pairs_of_frames(ptr, frames.positions_A3, frames.cell_F33, cutoff)
        found = into_slots(pairs, len(frames.numbers), cutoff, at_least=slots)
        self.slots = found.neighbour_AK.shape[1]
        energy_F = frames.energy_F if energy_F is None else energy_F
        first_A = np.repeat(ptr[:-1], np.diff(ptr))[:, None]

        def real(values: NDArray[np.float64]) -> Tensor:
            return torch.as_tensor(np.asarray(values, dtype=np.float64)).to(device, dtype)

        def whole(values: Index) -> Tensor:
            return torch.as_tensor(np.asarray(values, dtype=np.int64)).to(device)

        self._ptr, self._device = ptr, device
        self._numbers, self._positions = whole(frames.numbers), real(frames.positions_A3)
        self._forces = real(frames.forces_A3 / scale)
        self._energy = real(energy_F / scale)
        self._weight = real(np.ones(len(frames)) if weight_F is None else weight_F)
        self._head = whole(np.zeros(len(frames), dtype=np.int64) if head_F is None else head_F)
        self._neighbour = whole(found.neighbour_AK - first_A)
        self._reverse = whole(found.reverse_AK - first_A * self.slots)
        self._shift = real(found.shift_AK3)

    def __len__(self) -> int:
        return len(self._ptr) - 1

    @property
    def uniform(self) -> bool:
        """Whether all frames have as many atoms, so that all batches have one shape."""
        return len(np.unique(np.diff(self._ptr))) <= 1

    def batch(self, index_F: Index) -> Batch:
        """The frames of `index_F`, in that order, as one graph."""
        index = torch.as_tensor(index_F).to(self._device)
        size_F = np.diff(self._ptr)[index_F]
        first_F = np.cumsum(size_F) - size_F
        place = np.repeat(np.arange(len(index_F)), size_F)
        move = self._ptr[:-1][index_F] - first_F
        atom = torch.as_tensor(np.arange(len(place)) + move[place]).to(self._device)
        first_A1 = torch.as_tensor(first_F[place]).to(self._device).unsqueeze(1)
        graph = Graph(
            numbers=self._numbers[atom],
            positions_A3=self._positions[atom],
            neighbour_AK=self._neighbour[atom] + first_A1,
            reverse_AK=self._reverse[atom] + first_A1 * self.slots,
            shift_AK3=self._shift[atom],
            frame_A=torch.as_tensor(place).to(self._device),
            head_F=self._head[index],
            frames=len(index_F),
            atoms=int(size_F[0]) if len(set(size_F.tolist())) == 1 else None,
        )
        return Batch(graph, self._energy[index], self._forces[atom], self._weight[index])


def graph_of_one(
    numbers: Index,
    positions: NDArray[np.float64],
    slots: Slots,
    dtype: torch.dtype,
    device: torch.device | str,
) -> Graph:
    """A single configuration, `positions` (A, 3), with neighbours that were found before."""
    return Graph(
        numbers=torch.as_tensor(np.asarray(numbers, dtype=np.int64)).to(device),
        positions_A3=torch.tensor(positions, dtype=dtype, device=device),
        neighbour_AK=torch.as_tensor(slots.neighbour_AK).to(device),
        reverse_AK=torch.as_tensor(slots.reverse_AK).to(device),
        shift_AK3=torch.as_tensor(slots.shift_AK3).to(device, dtype),
        frame_A=torch.zeros(len(numbers), dtype=torch.int64, device=device),
        head_F=torch.zeros(1, dtype=torch.int64, device=device),
        frames=1,
        atoms=len(numbers),
    )
