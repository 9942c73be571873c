"""Where frames came from: numbers by frame, and by reference the programs and hosts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from forgefield.storage.ragged import Integers, merge, merge_columns
from forgefield.storage.records import Array

_PROVENANCE_FIELDS = ("wall_F", "cpu_F", "threads_F", "program_F", "host_F")


@dataclass(frozen=True, slots=True)
class Program:
    """A program and its version, as labels name them."""

    name: str
    version: str


@dataclass(frozen=True, slots=True, eq=False)
class FrameProvenance:
    """Where each label came from: `program_F` and `host_F` point into the two tables.

    `diagnostics` holds an (F,) array a name, NaN where a label has no such number.
    """

    wall_F: Array
    cpu_F: Array
    threads_F: Integers
    program_F: Integers
    host_F: Integers
    programs: tuple[Program, ...]
    hosts: tuple[str, ...]
    diagnostics: Mapping[str, Array]


def empty_origins() -> FrameProvenance:
    """Provenance of no frames."""
    none, nowhere = np.empty(0), np.empty(0, dtype=np.int64)
    return FrameProvenance(none, none, nowhere, nowhere, nowhere, (), (), {})


def select_origins(provenance: FrameProvenance, index: Integers) -> FrameProvenance:
    """The rows `index` of every array; the tables stay."""
    picked = {name: getattr(provenance, name)[index] for name in _PROVENANCE_FIELDS}
    diagnostics = {name: values[index] for name, values in provenance.diagnostics.items()}
    return replace(provenance, diagnostics=diagnostics, **picked)


def concatenate_origins(parts: Sequence[FrameProvenance]) -> FrameProvenance:
    """All rows in their order, the tables merged."""
    programs, program_F = merge([(part.programs, part.program_F) for part in parts])
    hosts, host_F = merge([(part.hosts, part.host_F) for part in parts])
    return FrameProvenance(
        wall_F=np.concatenate([part.wall_F for part in parts]),
        cpu_F=np.concatenate([part.cpu_F for part in parts]),
        threads_F=np.concatenate([part.threads_F for part in parts]),
        program_F=program_F,
        host_F=host_F,
        programs=programs,
        hosts=hosts,
        diagnostics=merge_columns([(len(part.wall_F), part.diagnostics) for part in parts]),
    )
