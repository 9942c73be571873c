"""The machines a plan may count on, and how long labels take that share them."""

import os
from dataclasses import dataclass

import psutil

MEMORY_SHARE = 0.8
"""Share of a node's memory that labels may fill; the rest is the system's and Ray's."""
QUOTED = (1, 4, 16, 64)
"""Numbers of nodes that every quote names a wall time for."""


@dataclass(frozen=True, slots=True)
class Machine:
    """`nodes` equal nodes, each with `cores` and `memory_bytes` for labels."""

    nodes: int
    cores: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Slots:
    """How labels share a machine: `count` at a time, `threads` each, on all nodes together."""

    count: int
    threads: int


def this_machine() -> Machine:
    """The node this process runs on, with the cores its affinity mask allows."""
    memory = int(psutil.virtual_memory().total * MEMORY_SHARE)
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return Machine(1, cores, memory)


def machines_asked(nodes: int, cores_per_node: int | None) -> tuple[Machine, ...]:
    """The nodes that a quote is for beyond this one: `QUOTED` of them, and as many as were asked.

    They have memory in proportion to their cores, and never less than this one.
    """
    here = this_machine()
    cores = cores_per_node or here.cores
    memory = max(here.memory_bytes, here.memory_bytes * cores // here.cores)
    numbers = sorted({*QUOTED, nodes} - ({1} if cores == here.cores else set()))
    return tuple(Machine(number, cores, memory) for number in numbers)


def wall_seconds(core_seconds: float, longest_core_seconds: float, slots: Slots) -> float:
    """Graham's bound on list scheduling: work / slots + (1 − 1/slots) · the longest label."""
    if slots.count == 0:
        return float("inf")
    work = core_seconds / (slots.count * slots.threads)
    return work + (1 - 1 / slots.count) * longest_core_seconds / slots.threads
