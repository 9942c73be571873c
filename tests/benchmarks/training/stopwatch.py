"""Wall and processor seconds of repeated work, by turns, and the machine's rate of products.

On a machine that others use, wall time tells how busy they are; processor time of one thread
stays good. So both are kept, and works that are to be compared take turns.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

Key = TypeVar("Key")
SIZE = 2048
"""Rows and columns of the matrices whose product is timed, float32."""


@dataclass(frozen=True)
class Spent:
    """Seconds of one repetition; `cpu_s` is the sum over the threads of the process."""

    wall_s: float
    cpu_s: float


Work = Callable[[int], Spent]
"""Does its thing so many times."""


@dataclass(frozen=True)
class Measured:
    """Rounds of one work, and what the very first repetition took (compilation and all)."""

    rounds: tuple[Spent, ...]
    first_s: float

    @property
    def wall_s(self) -> float:
        """Median."""
        return statistics.median(one.wall_s for one in self.rounds)

    @property
    def cpu_s(self) -> float:
        """Median."""
        return statistics.median(one.cpu_s for one in self.rounds)

    @property
    def spread(self) -> tuple[float, float]:
        """Least and most wall seconds of any round."""
        walls = [one.wall_s for one in self.rounds]
        return min(walls), max(walls)


def repeated(call: Callable[[], object], device: str = "cpu") -> Work:
    """A call in this process as work."""

    def work(times: int) -> Spent:
        _wait(device)
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(times):
            call()
        _wait(device)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        return Spent(wall / times, cpu / times)

    return work


def by_turns(works: Mapping[Key, Work], rounds: int, seconds: float) -> dict[Key, Measured]:
    """Every work for about `seconds` in each round, after two warm-ups."""
    first = {name: work(1).wall_s for name, work in works.items()}
    times = {name: _times(work(1).wall_s, seconds) for name, work in works.items()}
    turns = [{name: work(times[name]) for name, work in works.items()} for _ in range(rounds)]
    return {name: Measured(tuple(turn[name] for turn in turns), first[name]) for name in works}


def products(device: str) -> dict[str, Work]:
    """Products of matrices by torch as it comes (MKL on a CPU) and by oneDNN where there is one."""
    a, b = torch.randn(SIZE, SIZE, device=device), torch.randn(SIZE, SIZE, device=device)
    found = {"torch.mm": repeated(lambda: torch.mm(a, b), device)}
    if device == "cpu" and torch.backends.mkldnn.is_available():
        found["oneDNN"] = repeated(lambda: _by_onednn(a, b))
    return found


def gflops(seconds: float) -> float:
    """Rate of a product that took `seconds`, GFLOP/s."""
    return 2 * SIZE**3 / seconds / 1e9


def _by_onednn(a: Tensor, b: Tensor) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise.default(a, b.t(), None, "none", [], "")
    return product


def _times(once_s: float, seconds: float) -> int:
    return max(1, round(seconds / max(once_s, 1e-6)))


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()
