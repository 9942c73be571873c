"""Candidates for a label: geometries, where they come from, and what the committee thinks of them.

Legend: `F` candidates, `W` walkers, `A` atoms. Å, eV/Å, fs, K.
"""

import io
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from forgefield.platform.choosing.walking import Ending
from forgefield.storage.errors import InputError
from forgefield.storage.frame_store.durable_store import replace_file
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

    @property
    def fair_F(self) -> NDArray[np.bool_]:  # noqa: N802
        """Candidates that the random arm may take: those of the pool, or all without a pool."""
        pooled_F = np.asarray(self.source_F == Source.OPENMM.value)
        return pooled_F if pooled_F.any() else np.ones(len(self), dtype=bool)

    def summary(self) -> str:
        """One line for the screen."""
        counts = [f"{int((self.source_F == each.value).sum())} {each.value}" for each in Source]
        ends = [f"{int((self.ending_W == each.value).sum())} {each.value}" for each in Ending]
        return (
            f"{len(self)} candidates ({', '.join(counts)}), {self.dropped} dropped; "
            f"walkers: {', '.join(ends)}, {self.time_W.sum() / 1000:.1f} ps"
        )

    def save(self, path: Path) -> None:
        """Write it so that a crash leaves the whole file or none."""
        body = io.BytesIO()
        np.savez(body, **{name: getattr(self, name) for name in self.__slots__})
        replace_file(path, [body.getvalue()])

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what was saved; `InputError` where there is nothing."""
        if not path.exists():
            raise InputError(f"{path} holds no explored candidates: explore again")
        with np.load(path, allow_pickle=False) as arrays:
            rest = {name: arrays[name] for name in cls.__slots__ if name != "dropped"}
            return cls(dropped=int(arrays["dropped"]), **rest)
