"""What a round labels: geometries by tier with the arm that chose them, saved before any is bought.

The pool of a run is in random order, so its next configurations are the random arm; a larger random
arm contains the smaller one. Chosen configurations come from the pool too, or were explored.

Legend: `F` configurations, `A` atoms. Å.
"""

import io
import itertools
import math
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from forgefield.platform.choosing.picking import Arm
from forgefield.storage.errors import StorageError
from forgefield.storage.frame_store.durable_store import make_folder, replace_file
from forgefield.storage.records import (
    Array,
    Job,
    Method,
    Molecule,
    Purpose,
    Tier,
)

POOL = "pool"
"""Source of configurations that were sampled before any model was there."""


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """One label of a round; `source` is where its geometry is from: the pool, or exploring.

    `disagreement` is the committee's before the label, eV/Å, NaN where none was asked.
    """

    tier: Tier
    arm: Arm
    source: str
    positions_A3: Array
    disagreement: float = math.nan


Choice = tuple[Wanted, ...]


def save_choice(choice: Choice, path: Path) -> None:
    """Write a choice durably, its folder too: a crash leaves the whole file or none."""
    body = io.BytesIO()
    np.savez(
        body,
        tier=np.array([each.tier.value for each in choice], dtype="U16"),
        arm=np.array([each.arm.value for each in choice], dtype="U16"),
        source=np.array([each.source for each in choice], dtype="U16"),
        disagreement=np.array([each.disagreement for each in choice], dtype=np.float64),
        positions_FA3=np.array([each.positions_A3 for each in choice], dtype=np.float64),
    )
    make_folder(path.parent)
    replace_file(path, [body.getvalue()])


def load_choice(path: Path) -> Choice | None:
    """A saved choice, `None` where there is none; raises `StorageError` for a damaged file."""
    if not path.exists():
        return None
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            columns = {name: arrays[name] for name in arrays.files}
        return tuple(
            Wanted(Tier(tier), Arm(arm), str(source), positions_A3, float(spread))
            for tier, arm, source, positions_A3, spread in zip(
                columns["tier"].tolist(),
                columns["arm"].tolist(),
                columns["source"].tolist(),
                columns["positions_FA3"],
                columns["disagreement"].tolist(),
                strict=True,
            )
        )
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise StorageError(
            f"{path} is damaged: {error}. Restore it from a copy; without it nobody knows which "
            "labels this round wanted."
        ) from error


def at_random(supply: Iterable[Job], taken: Collection[str], count: int) -> Choice:
    """The first `count` jobs of `supply` whose job isn't `taken`, as the random arm."""
    free = (job for job in supply if job.key() not in taken)
    return tuple(
        Wanted(job.method.tier, Arm.RANDOM, POOL, job.configuration.positions_A3)
        for job in itertools.islice(free, count)
    )


def of_tier(choice: Choice, tier: Tier) -> Choice:
    """The labels of one tier."""
    return tuple(each for each in choice if each.tier == tier)


def jobs_of(
    choice: Sequence[Wanted], molecule: Molecule, methods: Mapping[Tier, Method]
) -> deque[Job]:
    """The training labels of a choice, in its order."""
    return deque(
        Job(molecule.at(each.positions_A3), methods[each.tier], Purpose.TRAIN) for each in choice
    )
