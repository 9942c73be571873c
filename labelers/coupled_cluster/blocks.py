"""Molecular-orbital integrals and amplitudes of a closed shell, as tensors.

Legend: `i j k l` (o) occupied, `a b c d` (v) virtual, both correlated and canonical; (pq|rs) in
Mulliken's order, real orbitals; hartree.
"""

from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from torch import Tensor

from forgefield.labelers.coupled_cluster.ladder import Ladder


class Amplitudes(NamedTuple):
    """Singles t_i^a (o, v) and doubles t_ij^ab (o, o, v, v); also λ, residuals, derivatives."""

    one: Tensor
    two: Tensor

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        return self.one.nbytes + self.two.nbytes

    def to(self, dtype: torch.dtype) -> "Amplitudes":
        """The same in another precision."""
        return Amplitudes(self.one.to(dtype), self.two.to(dtype))

    def detached(self, *, requires_grad: bool = False) -> "Amplitudes":
        """The same numbers as leaves of a new graph."""
        return Amplitudes(
            self.one.detach().requires_grad_(requires_grad),
            self.two.detach().requires_grad_(requires_grad),
        )

    def distance(self, other: "Amplitudes") -> float:
        """Norm of the difference."""
        square = (self.one - other.one).square().sum() + (self.two - other.two).square().sum()
        return float(square.sqrt())


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Integrals by kind of orbital: `ooov[i, j, k, a]` = (ij|ka). `f_oo`, `f_vv` Fock matrices."""

    f_oo: Tensor
    f_vv: Tensor
    oooo: Tensor
    ooov: Tensor
    oovv: Tensor
    ovov: Tensor
    ovvv: Tensor
    vvvv: Ladder

    @property
    def e_o(self) -> Tensor:
        """Occupied orbital energies (o,)."""
        return self.f_oo.diagonal()

    @property
    def e_v(self) -> Tensor:
        """Virtual orbital energies (v,)."""
        return self.f_vv.diagonal()

    @property
    def gaps(self) -> Amplitudes:
        """ε_a − ε_i, and ε_a + ε_b − ε_i − ε_j: positive."""
        one = self.e_v - self.e_o[:, None]
        return Amplitudes(one, one[:, None, :, None] + one[None, :, None, :])

    def to(self, dtype: torch.dtype) -> "Blocks":
        """The same in another precision."""
        tensors = {
            field.name: getattr(self, field.name).to(dtype)
            for field in fields(self)
            if field.name != "vvvv"
        }
        return Blocks(**tensors, vvvv=self.vvvv.to(dtype))

    def leaves(self) -> "Blocks":
        """The same numbers as leaves to differentiate by; `vvvv` stays constant."""
        copies = {
            field.name: getattr(self, field.name).detach().requires_grad_(True)
            for field in fields(self)
            if field.name != "vvvv"
        }
        return Blocks(**copies, vvvv=self.vvvv)


def mp2_amplitudes(blocks: Blocks) -> Amplitudes:
    """First-order doubles −(ia|jb)/(ε_a + ε_b − ε_i − ε_j), and no singles."""
    gaps = blocks.gaps
    doubles = -blocks.ovov.transpose(1, 2) / gaps.two
    return Amplitudes(torch.zeros_like(gaps.one), doubles)
