"""The pool of a run: its configurations in random order, written once and then only sliced.

Tiers that are replayed from files have pools of their own, which hold no geometry that the target
tier may validate or be judged on.

Legend: `F` configurations, `A` atoms. Å, K.
"""

import io
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from forgefield.storage.errors import InputError
from forgefield.storage.frame_store.durable_store import replace_file
from forgefield.storage.records import Job, Method, Molecule, Purpose, Tier


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Shuffled geometries `positions_FA3` (Å) of one molecule with their sampling temperature.

    `apart` holds the geometries of tiers that have others than the target's (of files, of no known
    temperature). Places count in the tier's own.
    """

    molecule: Molecule
    positions_FA3: NDArray[np.float64]
    temperature_F: NDArray[np.float64]
    apart: Mapping[Tier, NDArray[np.float64]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.positions_FA3)

    def of(self, tier: Tier) -> "Pool":
        """The pool that a tier's geometries are from."""
        if tier not in self.apart:
            return self
        positions_FA3 = self.apart[tier]
        return Pool(self.molecule, positions_FA3, np.full(len(positions_FA3), np.nan))

    def jobs(self, method: Method, purpose: Purpose, start: int, count: int) -> deque[Job]:
        """Jobs for up to `count` configurations of the method's tier from `start` on."""
        if method.tier in self.apart:
            return self.of(method.tier).jobs(method, purpose, start, count)
        return deque(
            Job(self.molecule.at(self.positions_FA3[index]), method, purpose)
            for index in range(start, min(start + count, len(self)))
        )


def save_pool(pool: Pool, path: Path) -> None:
    """Write the pool so that a crash leaves the whole file or none."""
    body = io.BytesIO()
    apart = {f"{tier}_positions_FA3": positions_FA3 for tier, positions_FA3 in pool.apart.items()}
    own = {"positions_FA3": pool.positions_FA3, "temperature_F": pool.temperature_F}
    np.savez(body, allow_pickle=False, **own, **apart)
    replace_file(path, [body.getvalue()])


def load_pool(molecule: Molecule, path: Path) -> Pool:
    """Read a pool; raises `InputError` if it belongs to another molecule."""
    with np.load(path, allow_pickle=False) as arrays:
        names = {tier: f"{tier}_positions_FA3" for tier in Tier}
        apart = {tier: arrays[name] for tier, name in names.items() if name in arrays.files}
        pool = Pool(molecule, arrays["positions_FA3"], arrays["temperature_F"], apart)
    if pool.positions_FA3.shape[1] != len(molecule.numbers):
        raise InputError(
            f"{path} holds configurations of another molecule; choose a new --workdir."
        )
    return pool
