"""Configurations that runs of one molecule share through the label book.

Runs with the same molecule and the same sampling label the same configurations, in the same order,
however many each of them needs: a larger run takes those that are there and samples the rest. The
pool of a run keeps its own copy.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from forgefield.labelers.distinct import distinct
from forgefield.labelers.sampling import SamplingSettings, sample
from forgefield.platform.book_places import BookPlace
from forgefield.storage.errors import InputError, StorageError
from forgefield.storage.geometry import pair_distances, sorted_distances
from forgefield.storage.label_book.shared_pools import PoolPart, SharedPools
from forgefield.storage.records import Molecule

Progress = Callable[[int, int], None]
SEED_STEP, LARGEST_SEED = 7919, 2**30
SURPLUS = 1.05
"""More are sampled than are missing: some will be too like those that are there."""


def shared_configurations(
    molecule: Molecule, settings: SamplingSettings, progress: Progress, book: BookPlace | None
) -> tuple[PoolPart, str]:
    """As many configurations as `settings` asks for, and a note if they are fewer."""
    if book is None:
        return _sampled(molecule, settings, progress)
    try:
        with SharedPools(book.place) as pools:
            return _grown(molecule, settings, progress, pools)
    except (InputError, StorageError):
        if book.required:
            raise
        return _sampled(molecule, settings, progress)


def pool_identity(molecule: Molecule, settings: SamplingSettings) -> str:
    """The same for runs whose configurations may be shared: all but how many there are."""
    start = np.round(molecule.positions_A3, 8) + 0.0
    facts = (molecule.numbers, molecule.charge, molecule.multiplicity, molecule.mol_block)
    sampling = settings.model_dump_json(exclude={"frames", "most_rounds"})
    digest = hashlib.blake2b(repr((facts, sampling)).encode(), digest_size=16)
    digest.update(start.astype("<f8").tobytes())
    return digest.hexdigest()


def _grown(
    molecule: Molecule, settings: SamplingSettings, progress: Progress, pools: SharedPools
) -> tuple[PoolPart, str]:
    """The shared pool, grown to what is asked for; whoever grows it first decides how."""
    identity = pool_identity(molecule, settings)
    while True:
        known = pools.parts(identity)
        missing = settings.frames - sum(map(len, known))
        if missing <= 0:
            return _first(known, settings.frames), ""
        more, note = more_configurations(molecule, settings, progress, known, missing)
        if not len(more) or pools.add(identity, known, more):
            return _first([*known, more], settings.frames), note


def more_configurations(
    molecule: Molecule,
    settings: SamplingSettings,
    progress: Progress,
    known: Sequence[PoolPart],
    missing: int,
) -> tuple[PoolPart, str]:
    """Configurations to add, unlike all that are there."""
    if not known:
        return _sampled(molecule, settings, progress)
    changed = {
        "frames": int(np.ceil(SURPLUS * missing)) + 1,
        "seed": (settings.seed + SEED_STEP * len(known)) % LARGEST_SEED,
    }
    sampled, note = _sampled(molecule, settings.model_copy(update=changed), progress)
    together_FA3 = np.concatenate([*(p.positions_FA3 for p in known), sampled.positions_FA3])
    features_FP = sorted_distances(molecule.numbers, pair_distances(together_FA3))
    new_F = distinct(features_FP, settings.threshold)[-len(sampled) :]
    kept = PoolPart(sampled.positions_FA3[new_F], sampled.temperature_F[new_F])
    return _first([kept], missing), note if len(kept) < missing else ""


def _sampled(
    molecule: Molecule, settings: SamplingSettings, progress: Progress
) -> tuple[PoolPart, str]:
    found = sample(molecule, settings, progress)
    return PoolPart(found.positions_FA3, found.temperature_F), found.note


def _first(parts: Sequence[PoolPart], count: int) -> PoolPart:
    whole = PoolPart(
        np.concatenate([part.positions_FA3 for part in parts]),
        np.concatenate([part.temperature_F for part in parts]),
    )
    return replace(
        whole,
        positions_FA3=whole.positions_FA3[:count],
        temperature_F=whole.temperature_F[:count],
    )
