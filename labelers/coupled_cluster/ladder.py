"""The particle-particle ladder Σ_cd (ac|bd) x_ij^cd on packed pairs of virtual orbitals.

Legend: `a b c d` virtual (v), `p` pairs i ≥ j of occupied orbitals, `T` = v(v+1)/2 pairs.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from forgefield.labelers.coupled_cluster.pairs import numbering, triangle


@dataclass(frozen=True, slots=True, eq=False)
class Ladder:
    """(ac|bd) of four virtual orbitals as two symmetric matrices over pairs.

    `plus` [(a≥b), (c≥d)] = (ac|bd) + (ad|bc) and `minus` [(a>b), (c>d)] = (ac|bd) − (ad|bc) hold
    half of v⁴ numbers and take a quarter of the multiplications of the plain contraction.
    """

    plus: Tensor
    minus: Tensor

    def to(self, dtype: torch.dtype) -> "Ladder":
        """The same in another precision."""
        return Ladder(self.plus.to(dtype), self.minus.to(dtype))

    @property
    def virtual(self) -> int:
        """V."""
        return self.plus.shape[0] - self.minus.shape[0]


def packed(pairs_vv: Tensor, v: int) -> Ladder:
    """From `pairs_vv` [(a≥c), (b≥d)] = (ac|bd), both in row order of a lower triangle."""
    rows, columns = triangle(v, pairs_vv.device)
    number = numbering(v, pairs_vv.device)
    plus = pairs_vv.new_empty(len(rows), len(rows))
    minus = pairs_vv.new_empty(len(rows) - v, len(rows) - v)
    strict = rows > columns
    place = torch.cumsum(strict, 0) - 1
    for a in range(v):
        first = number[a]
        here = slice(a * (a + 1) // 2, a * (a + 1) // 2 + a + 1)
        b = columns[here]
        direct = pairs_vv[first[rows][None, :], number[b][:, columns]]
        crossed = pairs_vv[first[columns][None, :], number[b][:, rows]]
        plus[here] = direct + crossed
        if a:
            start = int(place[here.start])
            minus[start : start + a] = (direct - crossed)[:a, strict]
    return Ladder(plus, minus)


def particle_ladder(x: Tensor, ladder: Ladder) -> Tensor:
    """Σ_cd (ac|bd) x_ij^cd as [i, j, a, b] for x with x_ij^cd = x_ji^dc; differentiable by x."""
    result: Tensor = _ParticleLadder.apply(x, ladder)  # type: ignore[no-untyped-call]
    return result


class _ParticleLadder(torch.autograd.Function):
    """A symmetric operator: its adjoint is itself."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, ladder: Ladder) -> Tensor:  # noqa: ANN401
        ctx.ladder = ladder
        return _contract(x, ladder)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        return _contract(gradients[0], ctx.ladder), None


def _contract(x: Tensor, ladder: Ladder) -> Tensor:
    o, v = x.shape[0], x.shape[-1]
    i, j = triangle(o, x.device)
    a, b = triangle(v, x.device)
    strict = a > b
    lower, upper = a * v + b, b * v + a
    flat = 0.5 * (x + x.permute(1, 0, 3, 2))
    flat = flat[i, j].reshape(len(i), v * v)
    below, above = flat[:, lower], flat[:, upper]
    above_only = torch.where(strict, above, 0.0)
    plus = (0.5 * (below + above_only)) @ ladder.plus
    minus = (0.5 * (below - above)[:, strict]) @ ladder.minus
    result = x.new_empty(o, o, v, v)
    square = x.new_empty(len(i), v * v)
    antisymmetric = torch.zeros_like(plus)
    antisymmetric[:, strict] = minus
    square[:, upper] = plus - antisymmetric
    square[:, lower] = plus + antisymmetric
    square = square.view(len(i), v, v)
    result[j, i] = square.transpose(1, 2)
    result[i, j] = square
    return result
