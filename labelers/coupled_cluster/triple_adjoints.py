"""Derivatives of E(T), gathered triple by triple, in the notation of `triples`.

Legend: `i j k m p q r` (o) occupied, `a b c f x y z` (v) virtual.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from forgefield.labelers.coupled_cluster.triple_sweep import Sweep

CLOSE_HARTREE = {torch.float64: 1e-6, torch.float32: 3e-4}
"""Orbital energies nearer than this: goo by its own sum, not by division by their difference."""


class TripleDerivatives(NamedTuple):
    """E(T) and its derivatives by t1, t2, (ia|bc), (ij|ka), (ia|jb), f_ij and f_ab."""

    energy: float
    t1: Tensor
    t2: Tensor
    ovvv: Tensor
    ooov: Tensor
    ovov: Tensor
    f_oo: Tensor
    f_vv: Tensor

    def to(self, dtype: torch.dtype) -> "TripleDerivatives":
        """The same in another precision."""
        return TripleDerivatives(self.energy, *(tensor.to(dtype) for tensor in self[1:]))


class Adjoints:
    """Sums of derivatives over (i, j, k); halves, since ∂E/∂W = 2Y and ∂E/∂V = 2R."""

    def __init__(self, sweep: Sweep) -> None:
        self.sweep = sweep
        o, v, like = sweep.o, sweep.v, sweep.inputs.t2
        self.t1, self.t2 = like.new_zeros(o, v), like.new_zeros(o, o, v, v)
        self.first, self.second = like.new_zeros(o, v, v, v), like.new_zeros(o, v, v, v)
        self.minus_ovoo = like.new_zeros(o, o, v, o)
        self.ovov = like.new_zeros(o, o, v, v)
        self.f_vv = like.new_zeros(v, v)
        self.e_o = like.new_zeros(o)

    def add(self, i: int, j: int, k: int) -> None:
        """Carry R and Y of (i, j, k) on to everything that W and V were made of."""
        v, arrays = self.sweep.v, self.sweep.arrays
        plain, swapped = (v * v, v), (v * v, v)
        y = arrays.amplitude_weights.view(plain)
        blocks = self.sweep.hole_blocks
        self._carry_pair(y, i, j, k, blocks[0])
        self._carry_pair(arrays.amplitude_weights_acb.view(swapped), i, k, j, blocks[1])
        self._carry_pair(arrays.amplitude_weights.view(v, v * v).T, j, k, i, blocks[2])
        z, r = arrays.total, arrays.energy_weights
        self._carry_energy(z.view(plain), r.view(plain), i, j, k)
        z, r = arrays.total_acb, arrays.energy_weights_acb
        self._carry_energy(z.view(swapped), r.view(swapped), i, k, j)
        z, r = arrays.total, arrays.energy_weights
        self._carry_energy(z.view(v, v * v).T, r.view(v, v * v).T, j, k, i)
        overlap = torch.dot(z.reshape(-1), r.reshape(-1))
        for index in (i, j, k):
            self.e_o[index] -= overlap

    def _carry_pair(self, y: Tensor, p: int, q: int, r: int, holes: Tensor) -> None:
        """y[(x y), z] with x on p, y on q and z on r."""
        sweep, add = self.sweep, self.sweep.kernels.add_product
        v, o, t2 = sweep.v, sweep.o, sweep.inputs.t2
        add(self.first[p].view(v * v, v), y, t2[r, q])
        add(self.second[q].view(v * v, v), y, t2[r, p])
        add(self.t2[r, q], y.T, sweep.first[p].view(v * v, v))
        add(self.t2[r, p], y.T, sweep.second[q].view(v * v, v))
        of_holes = y.new_empty(2 * o, v * v)
        add(of_holes, sweep.integrals(r, p, q).T, y.T, fresh=True)
        self.t2[:, q] += of_holes[:o].view(o, v, v)
        self.t2[p] += of_holes[o:].view(o, v, v)
        of_integrals = y.new_empty(v, 2 * o)
        add(of_integrals, y.T, holes, fresh=True)
        self.minus_ovoo[r, p] += of_integrals[:, :o]
        self.minus_ovoo[r, q] += of_integrals[:, o:]

    def _carry_energy(self, z: Tensor, r: Tensor, p: int, q: int, last: int) -> None:
        """Z and R as [(x y), z]: the virtual Fock matrix, and V's integrals and singles."""
        sweep = self.sweep
        v = sweep.v
        sweep.kernels.add_product(self.f_vv, z.T, r)
        self.t1[last] += r.T @ sweep.ovov[p, q].reshape(v * v)
        self.ovov[p, q] += (r @ sweep.inputs.t1[last]).view(v, v)

    def result(self) -> TripleDerivatives:
        """Everything doubled, in the layout of the inputs, with the symmetry they have."""
        inputs = self.sweep.inputs
        derivatives = {
            "t1": 2.0 * self.t1,
            "t2": self.t2 + self.t2.permute(1, 0, 3, 2),
            "ovvv": self.first.add_(self.second.transpose(1, 2)).mul_(2.0),
            "ooov": self.minus_ovoo.permute(1, 3, 0, 2).mul(-2.0),
            "ovov": (self.ovov + self.ovov.permute(1, 0, 3, 2)).transpose(1, 2).contiguous(),
        }
        f_vv, e_o = self.f_vv + self.f_vv.T, 2.0 * self.e_o
        energy = -float(inputs.e_o @ e_o + inputs.e_v @ f_vv.diagonal())
        f_oo = _off_diagonal(self.sweep, derivatives) + torch.diag(e_o)
        return TripleDerivatives(energy, **derivatives, f_oo=f_oo, f_vv=f_vv)


def _off_diagonal(sweep: Sweep, derivatives: dict[str, Tensor]) -> Tensor:
    """∂E/∂f_ij for i ≠ j from the invariance of E(T) to rotations among occupied orbitals.

    A rotation by κ changes E by Σ κ_ij [N_ij + 2 ε_i ∂E/∂f_ij], N_ij = Σ T(..i..) ∂E/∂T(..j..)
    over every occupied index of every T, which must vanish for antisymmetric κ.
    """
    inputs = sweep.inputs
    mixing = sum(
        (
            _mixed(getattr(inputs, name), derivatives[name], slot)
            for name, slots in (
                ("t1", [0]),
                ("t2", [0, 1]),
                ("ovvv", [0]),
                ("ooov", [0, 1, 2]),
                ("ovov", [0, 2]),
            )
            for slot in slots
        ),
        torch.zeros_like(inputs.t2[:, :, 0, 0]),
    )
    gaps = inputs.e_o[:, None] - inputs.e_o
    close = gaps.abs() < CLOSE_HARTREE[gaps.dtype]
    result = -(mixing - mixing.T) / (2.0 * gaps.masked_fill(close, 1.0))
    result = result.masked_fill(close, 0.0)
    for i, j in torch.nonzero(torch.tril(close, diagonal=-1)).tolist():
        result[i, j] = result[j, i] = _explicit(sweep, i, j)
    return result


def _mixed(tensor: Tensor, derivative: Tensor, slot: int) -> Tensor:
    rows = tensor.movedim(slot, 0).reshape(tensor.shape[slot], -1)
    return rows @ derivative.movedim(slot, 0).reshape(tensor.shape[slot], -1).T


def _explicit(sweep: Sweep, i: int, j: int) -> Tensor:
    """∂E/∂f_ij = −½ Σ_kl [⟨z_ikl, S(w_jkl)⟩ + ⟨z_jkl, S(w_ikl)⟩], exact at any gap."""
    arrays = sweep.arrays
    total = torch.zeros_like(sweep.inputs.e_o[0])
    for k in range(sweep.o):
        for m in range(k + 1):
            sweep.amplitudes(i, k, m, weight=1.0)
            z, r = arrays.total.clone(), arrays.energy_weights.clone()
            sweep.amplitudes(j, k, m, weight=1.0)
            both = (z * arrays.energy_weights).sum() + (arrays.total * r).sum()
            total -= both if k != m else 0.5 * both
    return total
