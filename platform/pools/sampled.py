"""Making the pool of a run: sampled once, and made longer where a plan turns out larger."""

import numpy as np

from forgefield.labelers.sampling import SamplingSettings
from forgefield.platform.book_places import BookPlace
from forgefield.platform.pools.pool import Pool
from forgefield.platform.pools.sharing import (
    LARGEST_SEED,
    Progress,
    more_configurations,
    shared_configurations,
)
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.errors import StorageError
from forgefield.storage.label_book.shared_pools import PoolPart
from forgefield.storage.ledger import Ledger
from forgefield.storage.records import Molecule


def sample_pool(
    molecule: Molecule,
    settings: SamplingSettings,
    progress: Progress,
    book: BookPlace | None = None,
) -> tuple[Pool, str]:
    """Sampled frames in a seeded random order, and a note if they are too few.

    With a label book they begin with those that its runs share (`sharing`).
    """
    part, note = shared_configurations(molecule, settings, progress, book)
    return Pool(molecule, part.positions_FA3, part.temperature_F), note


def larger_pool(
    pool: Pool, settings: SamplingSettings, progress: Progress, book: BookPlace | None = None
) -> tuple[Pool, str]:
    """The pool with more behind its own, `settings.frames` in all, and a note if they are fewer.

    They are those of the label book where its runs share a pool that begins with this one.
    """
    size, molecule = len(pool), pool.molecule
    own = PoolPart(pool.positions_FA3, pool.temperature_F)
    if book is not None:
        part, note = shared_configurations(molecule, settings, progress, book)
        if np.array_equal(part.positions_FA3[:size], own.positions_FA3):
            return Pool(molecule, part.positions_FA3, part.temperature_F), note
    # A pool that grew before grew by the trajectories of another seed.
    reseeded = settings.model_copy(update={"seed": (settings.seed + size) % LARGEST_SEED})
    missing = settings.frames - size
    more, note = more_configurations(molecule, reseeded, progress, [own], missing)
    positions_FA3 = np.concatenate([own.positions_FA3, more.positions_FA3])
    temperature_F = np.concatenate([own.temperature_F, more.temperature_F])
    return Pool(molecule, positions_FA3, temperature_F), note


def refuse_to_sample_again(folder: RunFolder) -> None:
    """Raise `StorageError` where labels were bought but their pool is gone.

    New samples would mix up what is held out and what is trained on. Imported labels are of no
    pool.
    """
    if not folder.has_ledger:
        return
    with Ledger(folder.ledger_url, read_only=True) as ledger:
        if any(row.bought for row in ledger.tally()):
            raise StorageError(
                f"{folder.pool} is missing, but labels of its configurations were bought. Put it "
                "back, or start anew with another --workdir."
            )
