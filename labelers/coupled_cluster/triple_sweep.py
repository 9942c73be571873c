"""W of one (i, j, k) after the other, in the notation of `triples`.

Legend: `i j k m p q r` (o) occupied, `a b c f x y z` (v) virtual.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from forgefield.labelers.coupled_cluster.triple_kernels import (
    Disconnected,
    Kernels,
    TripleArrays,
    kernels_for,
)


@dataclass(frozen=True, slots=True, eq=False)
class TripleInputs:
    """What (T) depends on: t1 (o, v), t2 (o, o, v, v), (ia|bc), (ij|ka), (ia|jb), ε; hartree."""

    t1: Tensor
    t2: Tensor
    ovvv: Tensor
    ooov: Tensor
    ovov: Tensor
    e_o: Tensor
    e_v: Tensor

    def to(self, dtype: torch.dtype) -> "TripleInputs":
        """The same in another precision."""
        return TripleInputs(*(getattr(self, name).to(dtype) for name in self.__slots__))


class Sweep:
    """W of one (i, j, k) after the other, and what the kernel makes of it."""

    def __init__(self, inputs: TripleInputs) -> None:
        self.inputs = inputs
        self.kernels: Kernels = kernels_for(inputs.t2)
        o, v = inputs.t1.shape
        self.o, self.v = o, v
        self.arrays = TripleArrays.like(inputs.t2, v)
        self.first = inputs.ovvv.contiguous()  # [p][x, y, f] = (px|yf)
        self.second = inputs.ovvv.transpose(1, 2).contiguous()  # [q][x, y, f] = (qy|xf)
        self.ovov = inputs.ovov.transpose(1, 2).contiguous()  # [i, j][a, b]
        self.minus_ovoo = -inputs.ooov.permute(2, 0, 3, 1).contiguous()  # [k, i][c, m] = −(kc|im)
        self.energies_o = inputs.e_o.tolist()

    def holes(self, p: int, q: int) -> Tensor:
        """[(x y), 2m]: t_mq^xy beside t_pm^xy."""
        t2 = self.inputs.t2
        return torch.cat((t2[:, q], t2[p])).view(2 * self.o, self.v**2).T

    def integrals(self, r: int, p: int, q: int) -> Tensor:
        """[z, 2m]: −(rz|pm) beside −(rz|qm)."""
        return torch.cat((self.minus_ovoo[r, p], self.minus_ovoo[r, q]), dim=1)

    def amplitudes(self, i: int, j: int, k: int, weight: float | None = None) -> None:
        """Fill the arrays for (i, j, k), in any order of the three; `weight` stands for s."""
        self.hole_blocks = (self.holes(i, j), self.holes(i, k), self.holes(j, k))
        v = self.v
        w, w_acb = self.arrays.w.view(v * v, v), self.arrays.w_acb.view(v * v, v)
        self._add_pair(w, i, j, k, self.hole_blocks[0])
        self._add_pair(w_acb, i, k, j, self.hole_blocks[1])
        self._add_last_pair(j, k, i)
        if weight is None:
            weight = 0.5 if len({i, j, k}) < 3 else 1.0
        self.kernels.amplitudes(self.arrays, self.parts(i, j, k), self.inputs.e_v, weight)

    def _add_pair(self, out: Tensor, p: int, q: int, r: int, holes: Tensor) -> None:
        v, t2, add = self.v, self.inputs.t2, self.kernels.add_product
        add(out, self.first[p].view(v * v, v), t2[r, q].T, fresh=True)
        add(out, self.second[q].view(v * v, v), t2[r, p].T)
        add(out, holes, self.integrals(r, p, q).T)

    def _add_last_pair(self, p: int, q: int, r: int) -> None:
        """The pair (j, k) comes last in [a, (b c)]."""
        v, t2, add = self.v, self.inputs.t2, self.kernels.add_product
        out = self.arrays.w.view(v, v * v)
        add(out, t2[r, q], self.first[p].view(v * v, v).T)
        add(out, t2[r, p], self.second[q].view(v * v, v).T)
        add(out, self.integrals(r, p, q), self.hole_blocks[2].T)

    def parts(self, i: int, j: int, k: int) -> Disconnected:
        """What V is made of."""
        ovov, t1, e_o = self.ovov, self.inputs.t1, self.energies_o
        energy = e_o[i] + e_o[j] + e_o[k]
        return Disconnected(ovov[i, j], ovov[i, k], ovov[j, k], t1[i], t1[j], t1[k], energy=energy)
