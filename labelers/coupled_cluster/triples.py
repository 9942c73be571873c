"""(T): its energy and all derivatives of it, in one pass over i ≥ j ≥ k.

Closed shells, canonical orbitals. With D = ε_i + ε_j + ε_k − ε_a − ε_b − ε_c and (pairs in
parentheses sum over the three ways to single out one of i, j, k)

    W = Σ_pairs Σ_f [(ia|bf) t_kj^cf + (jb|af) t_ki^cf] − Σ_m [(kc|im) t_mj^ab + (kc|jm) t_im^ab]
    V = (ia|jb) t_k^c + (ia|kc) t_j^b + (jb|kc) t_i^a
    S(x) = 4x_abc + x_bca + x_cab − 2(x_bac + x_acb + x_cba)
    E(T) = Σ_{i≥j≥k} 2s ⟨W + V, S(W)/D⟩,   s = 1, or 1/2 where two indices are equal

(Raghavachari et al., Chem. Phys. Lett. 157, 479 (1989); Lee & Rendell, J. Chem. Phys. 94, 6229
(1991)), the derivatives are those of a bilinear form: ∂E/∂W = 2Y, ∂E/∂V = 2R with
R = s S(W)/D and Y = s S(2W + V)/D, carried on to integrals and amplitudes while W is at hand.
E depends on orbital energies as on the diagonal of a Fock matrix; the off-diagonal derivatives,
which gradients need, are found from z = (W + V)/D and R too. Work: about 3.5 o³v⁴ + 3 o⁴v³
multiply-adds; memory beyond the integrals: their adjoints and 8 v³.

Nothing here knows of molecules or programs. Arrays are torch tensors of one floating type on one
device. Legend: `i j k m` (o) occupied, `a b c f` (v) virtual.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from forgefield.labelers.coupled_cluster.triple_kernels import (
    Disconnected,
    Kernels,
    TripleArrays,
    kernels_for,
)

CLOSE_HARTREE = {torch.float64: 1e-6, torch.float32: 3e-4}
"""Orbital energies nearer than this: goo by its own sum, not by division by their difference."""


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


def triples_energy(inputs: TripleInputs) -> float:
    """E(T) alone, hartree: a third of the work."""
    sweep = _Sweep(inputs)
    energy = 0.0
    for i, j, k in _ordered(len(inputs.e_o)):
        sweep.amplitudes(i, j, k)
        denominator = _denominator(inputs, i, j, k)
        energy += 2.0 * float(
            (sweep.arrays.total * sweep.arrays.energy_weights * denominator).sum()
        )
    return energy


def triples_derivatives(inputs: TripleInputs) -> TripleDerivatives:
    """E(T) and every derivative."""
    sweep = _Sweep(inputs)
    adjoint = _Adjoints(sweep)
    for i, j, k in _ordered(len(inputs.e_o)):
        sweep.amplitudes(i, j, k)
        adjoint.add(i, j, k)
    return adjoint.result()


def _ordered(o: int) -> "list[tuple[int, int, int]]":
    """I ≥ j ≥ k but for i = j = k, where S(W) vanishes."""
    return [(i, j, k) for i in range(o) for j in range(i + 1) for k in range(j + 1) if i != k]


def _denominator(inputs: TripleInputs, i: int, j: int, k: int) -> Tensor:
    e_o, e_v = inputs.e_o, inputs.e_v
    return e_o[i] + e_o[j] + e_o[k] - e_v[:, None, None] - e_v[:, None] - e_v


class _Sweep:
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


class _Adjoints:
    """Sums of derivatives over (i, j, k); halves, since ∂E/∂W = 2Y and ∂E/∂V = 2R."""

    def __init__(self, sweep: _Sweep) -> None:
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


def _off_diagonal(sweep: _Sweep, derivatives: dict[str, Tensor]) -> Tensor:
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


def _explicit(sweep: _Sweep, i: int, j: int) -> Tensor:
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
