"""Amplitudes of solved frames as starting points for a new one.

What changes least from frame to frame is t less its first-order value, and λ less t. Both are
kept with the orbitals they belong to, in Löwdin's orthogonalised atomic functions, where orbitals
of different frames can be compared: occupied and virtual orbitals of the old frame are turned
onto those of the new one by the orthogonal matrices nearest to their overlaps, and the amplitudes
with them. Several frames are mixed with weights found from the geometries (`warm_start.mixture`).

Legend: `b` atomic orbitals, `m` correlated orbitals, `o` occupied, `v` virtual.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from forgefield.labelers.coupled_cluster.blocks import Amplitudes
from forgefield.storage.records import Array

ALIKE = 0.9
"""Least singular value of the overlap of occupied orbitals: 1 where they span the same space."""


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """Of one frame: S^1/2 C (b, m), occupied orbitals first; t − t(MP2) and λ − t, in float32."""

    loewdin_bm: Array
    beyond_mp2: Amplitudes
    beyond_t: Amplitudes

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return int(self.loewdin_bm.nbytes) + self.beyond_mp2.nbytes + self.beyond_t.nbytes

    def turned(self, rotation_bb: Array) -> "Solved":
        """The frame rotated in space: `rotation_bb` turns atomic functions."""
        return replace(self, loewdin_bm=rotation_bb @ self.loewdin_bm)


@dataclass(frozen=True, slots=True, eq=False)
class Guess:
    """Differences in the new frame's orbitals, to be added to its own MP2 and t."""

    beyond_mp2: Amplitudes
    beyond_t: Amplitudes

    def amplitudes(self, mp2: Amplitudes) -> Amplitudes:
        """Where to start t."""
        return _sum(mp2, self.beyond_mp2)

    def multipliers(self, t: Amplitudes) -> Amplitudes:
        """Where to start λ."""
        return _sum(t, self.beyond_t)


def solved(loewdin_bm: Array, mp2: Amplitudes, t: Amplitudes, multipliers: Amplitudes) -> Solved:
    """What is worth keeping of a frame."""
    return Solved(loewdin_bm, _difference(t, mp2), _difference(multipliers, t))


def guess_from(frames: Sequence[Solved], weights_N: Array, new_loewdin_bm: Array) -> Guess | None:
    """Differences of `frames` turned into the new orbitals and mixed.

    The frames' orbitals must be turned as their atoms are on the new ones. `None` where the
    occupied orbitals of a frame are others than the new ones: a start from there could lead to
    another solution.
    """
    o = frames[0].beyond_t.one.shape[0]
    of_mp2, of_t = [], []
    for frame in frames:
        overlap = torch.from_numpy(frame.loewdin_bm.T @ new_loewdin_bm)
        if torch.linalg.svdvals(overlap[:o, :o]).min() < ALIKE:
            return None
        occupied, virtual = _nearest_rotation(overlap[:o, :o]), _nearest_rotation(overlap[o:, o:])
        of_mp2.append(_turned(frame.beyond_mp2, occupied, virtual))
        of_t.append(_turned(frame.beyond_t, occupied, virtual))
    return Guess(_mixed(of_mp2, weights_N), _mixed(of_t, weights_N))


def _nearest_rotation(overlap: Tensor) -> Tensor:
    left, _, right = torch.linalg.svd(overlap)
    rotation: Tensor = left @ right
    return rotation


def _turned(amplitudes: Amplitudes, occupied: Tensor, virtual: Tensor) -> Amplitudes:
    """T in the new orbitals: each index summed with [old, new]."""
    one, two = amplitudes.one.double(), amplitudes.two.double()
    one = occupied.T @ one @ virtual
    two = virtual.T @ two @ virtual
    two = torch.einsum("ik,ijab->kjab", occupied, two)
    two = torch.einsum("jl,kjab->klab", occupied, two)
    return Amplitudes(one, 0.5 * (two + two.permute(1, 0, 3, 2)))


def _mixed(amplitudes: Sequence[Amplitudes], weights_N: Array) -> Amplitudes:
    weights = np.asarray(weights_N).tolist()
    one = sum((w * a.one for w, a in zip(weights, amplitudes, strict=True)), start=torch.zeros(()))
    two = sum((w * a.two for w, a in zip(weights, amplitudes, strict=True)), start=torch.zeros(()))
    return Amplitudes(one, two)


def _sum(left: Amplitudes, right: Amplitudes) -> Amplitudes:
    right_one, right_two = right.one.to(left.one.device), right.two.to(left.two.device)
    return Amplitudes(left.one + right_one, left.two + right_two)


def _difference(left: Amplitudes, right: Amplitudes) -> Amplitudes:
    return Amplitudes((left.one - right.one).float().cpu(), (left.two - right.two).float().cpu())
