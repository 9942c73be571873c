"""Fixed-point iteration with DIIS for amplitudes and multipliers.

P. Pulay, Chem. Phys. Lett. 73, 393 (1980), on quasi-Newton steps: each update divides the
residual by differences of orbital energies, and the next point is the mixture of the last ones
whose updates cancel best.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import torch

from forgefield.labelers.coupled_cluster.blocks import Amplitudes

HISTORY = 6


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """Amplitudes, the number of residuals they took, and whether the last step was small enough."""

    amplitudes: Amplitudes
    iterations: int
    converged: bool


def iterate(
    residual: Callable[[Amplitudes], Amplitudes],
    start: Amplitudes,
    gaps: Amplitudes,
    *,
    tolerance: float,
    most: int,
    damping: float = 1.0,
) -> Solution:
    """Solve residual(x) = 0 from `start`, until an update's norm is below `tolerance`."""
    diis = _Diis()
    x = start
    for iteration in range(1, most + 1):
        omega = residual(x)
        step = Amplitudes(-damping * omega.one / gaps.one, -damping * omega.two / gaps.two)
        size = _norm(step)
        if not size < 1e6:
            return Solution(x, iteration, converged=False)
        moved = Amplitudes(x.one + step.one, x.two + step.two)
        if size < tolerance:
            return Solution(moved, iteration, converged=True)
        x = diis.mixed(moved, step)
    return Solution(x, most, converged=False)


class _Diis:
    def __init__(self) -> None:
        self._points: deque[tuple[Amplitudes, Amplitudes]] = deque(maxlen=HISTORY)

    def mixed(self, moved: Amplitudes, step: Amplitudes) -> Amplitudes:
        """The mixture of the points so far with the smallest mixed step."""
        self._points.append((moved, step))
        n = len(self._points)
        if n == 1:
            return moved
        overlaps = torch.zeros(n + 1, n + 1, dtype=torch.float64)
        overlaps[n, :n] = overlaps[:n, n] = 1.0
        for row, (_, left) in enumerate(self._points):
            for column, (_, right) in enumerate(self._points):
                if column <= row:
                    overlaps[row, column] = overlaps[column, row] = _dot(left, right)
        scale = overlaps[:n, :n].diagonal().max()
        overlaps[:n, :n] /= scale
        right_side = torch.zeros(n + 1, dtype=torch.float64)
        right_side[n] = 1.0
        weights = torch.linalg.lstsq(overlaps, right_side, driver="gelsd").solution.tolist()
        points = [point for point, _ in self._points]
        one = torch.zeros_like(moved.one)
        two = torch.zeros_like(moved.two)
        for weight, point in zip(weights, points, strict=False):
            one.add_(point.one, alpha=weight)
            two.add_(point.two, alpha=weight)
        return Amplitudes(one, two)


def _dot(left: Amplitudes, right: Amplitudes) -> float:
    singles = torch.dot(left.one.reshape(-1), right.one.reshape(-1))
    return float(singles + torch.dot(left.two.reshape(-1), right.two.reshape(-1)))


def _norm(x: Amplitudes) -> float:
    return float(_dot(x, x) ** 0.5)
