"""Candidates for a label: geometries, where they come from, and what the committee thinks of them.

Legend: `F` candidates, `W` walkers, `A` atoms. Å, eV/Å, fs, K.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from forgefield.storage.records import Array


class Source(StrEnum):
    """Where a candidate comes from."""

    MD = "md"
    OPENMM = "openmm"
    MODES = "modes"


@dataclass(frozen=True, slots=True, eq=False)
class Explored:
    """Candidates (F, A, 3) Å with source, temperature (NaN: unknown), disagreement and alarm.

    `disagreement_F` eV/Å is that of the worst atom. `ending_W` and `time_W` (fs) tell how the
    walkers ended; `dropped` counts displacements and frames of the pool that were unphysical or
    hopeless.
    """

    positions_FA3: Array
    source_F: NDArray[np.str_]
    temperature_F: Array
    disagreement_F: Array
    alarmed_F: NDArray[np.bool_]
    ending_W: NDArray[np.str_]
    time_W: Array
    dropped: int

    def __len__(self) -> int:
        return len(self.positions_FA3)
