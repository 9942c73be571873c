"""How many labels run side by side on a node, with how many threads each, and why.

Two facts decide: a label of several threads wastes part of them, and every worker holds a label's
memory of its own. So each core gets its worker while memory allows, and only then do labels get
threads. How much two threads or two workers are worth was measured, in
`tests/benchmarks/labels/RESULTS.md`, section Throughput; beyond two it is Amdahl's law for threads,
and the same loss again at every doubling of the workers.
"""

import math
from dataclasses import dataclass

from forgefield.platform.planning.machine import Machine, Slots
from forgefield.platform.screen.wording import gigabytes, three_digits


@dataclass(frozen=True, slots=True)
class Gain:
    """Labels a minute over those of one labeler with one thread, on two cores of a node."""

    two_threads: float
    two_workers: float

    def of_threads(self, threads: int) -> float:
        """Speed of one labeler with `threads` (Amdahl)."""
        parallel = max(0.0, 2 - 2 / self.two_threads)
        return 1 / (1 - parallel + parallel / threads)

    def slowdown(self, workers: int) -> float:
        """What each of `workers` side by side loses to the others, as a factor of its time."""
        return float((2 / self.two_workers) ** math.log2(max(workers, 1)))

    def of(self, workers: int, threads: int) -> float:
        """Speed of `workers` labelers of `threads` each on one node."""
        return workers * self.of_threads(threads) / self.slowdown(workers)


GAINS = {
    "CCSD(T)": Gain(two_threads=1.18, two_workers=1.8),
    "DFT": Gain(two_threads=1.18, two_workers=1.95),
}
"""Methanol, cc-pVDZ and def2-SVP (PBE), two cores. Two workers by the CPU seconds of a label with
the other core busy; two threads by DFT labels a minute on a quiet machine, which stand in for
CCSD(T): its two threads were only seen on a loaded machine, where they were slower than one."""


def gain_of(method: str) -> Gain:
    """The gain of a method; DFT's where it wasn't measured."""
    return GAINS["CCSD(T)" if method.startswith("CCSD(T)") else "DFT"]


def thread_variables(threads: int) -> dict[str, str]:
    """Environment of a worker: its threads, which sleep while they wait for each other.

    Threads that spin instead, as they do by default, halve the speed of a label on two threads
    where somebody else uses one of the cores (measured as above).
    """
    return {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}


@dataclass(frozen=True, slots=True)
class Choice:
    """Slots on all nodes together, the memory of each, and the reason in words."""

    slots: Slots
    memory_bytes: int
    why: str


def choose_slots(
    machine: Machine, label_memory_bytes: int, threads: int | None = None, method: str = ""
) -> Choice:
    """The fastest way to run labels of `label_memory_bytes`; no slot where not even one fits.

    `threads` overrides; there is no slot either where a node has fewer cores.
    """
    if threads is not None and threads > machine.cores:
        why = f"{threads} threads a label, but a node has {machine.cores} cores"
        return Choice(Slots(0, threads), label_memory_bytes, why)
    gain, fitting = gain_of(method), machine.memory_bytes // max(label_memory_bytes, 1)
    if not fitting:
        need, have = gigabytes(label_memory_bytes), gigabytes(machine.memory_bytes)
        why = f"a label needs {need}, a node has {have} for labels"
        return Choice(Slots(0, threads or machine.cores), label_memory_bytes, why)
    options = [
        (min(machine.cores // each, fitting), each)
        for each in ([threads] if threads else range(1, machine.cores + 1))
    ]
    workers, each = max(options, key=lambda option: (gain.of(*option), -option[1]))
    slots = Slots(machine.nodes * workers, each)
    why = _why(machine, (workers, each), gain, label_memory_bytes, asked=threads is not None)
    return Choice(slots, machine.memory_bytes // workers, why)


def _why(
    machine: Machine, chosen: tuple[int, int], gain: Gain, memory_bytes: int, *, asked: bool
) -> str:
    workers, threads = chosen
    said = f"{_layout(*chosen)}: "
    if asked:
        said += "threads as asked"
    elif threads == 1 and machine.cores > 1:
        ratio = gain.of(*chosen) / gain.of(1, machine.cores)
        said += f"{three_digits(ratio)}× {_layout(1, machine.cores)}"
    elif machine.cores == 1:
        said += "one core"
    else:
        room = gigabytes(machine.memory_bytes)
        said += f"memory holds no more than {workers} at a time ({room})"
    said += f"; {gigabytes(memory_bytes)} each"
    return said + (f"; on each of {machine.nodes} nodes" if machine.nodes > 1 else "")


def _layout(workers: int, threads: int) -> str:
    w = "1 worker" if workers == 1 else f"{workers} workers"
    t = "1 thread" if threads == 1 else f"{threads} threads"
    return f"{w} × {t}"
