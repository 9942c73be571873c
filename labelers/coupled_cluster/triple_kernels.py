"""The two inner steps of the triples, for a processor and for any device that torch drives.

`add_product` is a matrix product added to what is there, `amplitudes` turns the connected
triples of one (i, j, k) into all that the energy and its derivatives need of them. On a processor
the first is BLAS (faster than torch's on these shapes) and the second one compiled loop, which
reads and writes every element once; elsewhere both are torch.

Legend: `a b c` virtual orbitals, `v` their number. Arrays with `_acb` hold b and c swapped.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Disconnected:
    """What the disconnected triples of (i, j, k) are made of, and the energies of i, j and k.

    `ov_ij[a, b]` = (ia|jb), and so on; `t_i` (v,) singles; `energy` = ε_i + ε_j + ε_k, hartree.
    """

    ov_ij: Tensor
    ov_ik: Tensor
    ov_jk: Tensor
    t_i: Tensor
    t_j: Tensor
    t_k: Tensor
    energy: float


@dataclass(frozen=True, slots=True)
class TripleArrays:
    """Room for one (i, j, k), each (v, v, v): connected triples W and what comes of them.

    `total` = (V + W)/D, `energy_weights` = R, `amplitude_weights` = Y of `triples`.
    """

    w: Tensor
    w_acb: Tensor
    total: Tensor
    total_acb: Tensor
    energy_weights: Tensor
    energy_weights_acb: Tensor
    amplitude_weights: Tensor
    amplitude_weights_acb: Tensor

    @classmethod
    def like(cls, tensor: Tensor, v: int) -> "TripleArrays":
        """Empty arrays of the precision and on the device of `tensor`."""
        return cls(*(tensor.new_empty(v, v, v) for _ in range(8)))


class Kernels(Protocol):
    """See the module's docstring."""

    def add_product(self, out: Tensor, a: Tensor, b: Tensor, *, fresh: bool = False) -> None:
        """Add a @ b to `out`, or overwrite `out` with it; `out` is contiguous, a and b matrices."""

    def amplitudes(
        self, arrays: TripleArrays, parts: Disconnected, e_v: Tensor, weight: float
    ) -> None:
        """Fill all but `w` and `w_acb`, which together hold W, from these."""


def kernels_for(tensor: Tensor) -> Kernels:
    """The kernels of the device that `tensor` lives on."""
    return CpuKernels() if tensor.device.type == "cpu" else TorchKernels()


class TorchKernels:
    """Plain torch; every step is a few passes over v³ numbers."""

    def add_product(self, out: Tensor, a: Tensor, b: Tensor, *, fresh: bool = False) -> None:
        """One `addmm`."""
        torch.addmm(out, a, b, beta=0.0 if fresh else 1.0, out=out)

    def amplitudes(
        self, arrays: TripleArrays, parts: Disconnected, e_v: Tensor, weight: float
    ) -> None:
        """As the equations in `triples` have it."""
        denominator = parts.energy - (e_v[:, None, None] + e_v[:, None] + e_v)
        w = (arrays.w + arrays.w_acb.transpose(1, 2)).div_(denominator)
        v = parts.ov_ij[:, :, None] * parts.t_k
        v += parts.ov_ik[:, None, :] * parts.t_j[:, None]
        v += parts.ov_jk[None] * parts.t_i[:, None, None]
        torch.add(w, v.div_(denominator), out=arrays.total)
        arrays.energy_weights.copy_(_spin_sum(w)).mul_(weight)
        arrays.amplitude_weights.copy_(_spin_sum(w.add_(arrays.total))).mul_(weight)
        for swapped, plain in (
            (arrays.total_acb, arrays.total),
            (arrays.energy_weights_acb, arrays.energy_weights),
            (arrays.amplitude_weights_acb, arrays.amplitude_weights),
        ):
            swapped.copy_(plain.transpose(1, 2))


def _spin_sum(x: Tensor) -> Tensor:
    """4x_abc + x_bca + x_cab − 2(x_bac + x_acb + x_cba), which closed shells sum spins by."""
    even = x.permute(1, 2, 0) + x.permute(2, 0, 1)
    odd = x.transpose(0, 1) + x.transpose(1, 2)
    odd += x.transpose(0, 2)
    return even.add_(x, alpha=4.0).sub_(odd, alpha=2.0)


class CpuKernels:
    """BLAS through SciPy, which can add to its output, and a compiled loop."""

    def add_product(self, out: Tensor, a: Tensor, b: Tensor, *, fresh: bool = False) -> None:
        """Row-major out += a b as the column-major outᵀ += bᵀ aᵀ."""
        from scipy.linalg import blas

        multiply = blas.dgemm if out.dtype == torch.float64 else blas.sgemm
        left, left_is_transposed = _column_major(b)
        right, right_is_transposed = _column_major(a)
        target = out.numpy().reshape(a.shape[0], b.shape[1]).T
        multiply(
            1.0,
            left,
            right,
            0.0 if fresh else 1.0,
            target,
            left_is_transposed,
            right_is_transposed,
            overwrite_c=True,
        )

    def amplitudes(
        self, arrays: TripleArrays, parts: Disconnected, e_v: Tensor, weight: float
    ) -> None:
        """One pass over tiles of (a, b, c) and their permutations."""
        from forgefield.labelers.coupled_cluster.triple_loop import fill

        fill(
            *(getattr(arrays, name).numpy() for name in TripleArrays.__slots__),
            parts.ov_ij.numpy(),
            parts.ov_ik.numpy(),
            parts.ov_jk.numpy(),
            parts.t_i.numpy(),
            parts.t_j.numpy(),
            parts.t_k.numpy(),
            parts.energy,
            e_v.numpy(),
            weight,
        )


def _column_major(matrix: Tensor) -> tuple[Any, bool]:
    """`matrix` as the transposed (column-major) view that BLAS takes, and whether to transpose."""
    array = matrix.numpy()
    if array.flags.c_contiguous:
        return array.T, False
    return array, True
