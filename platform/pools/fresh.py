"""Configurations that are in nobody's labels yet: what was imported judges and validates nothing.

Another run of the same molecule samples the same configurations. Its labels, imported into this
one, were trained on or are about to be; the same geometries may not be held out here.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from forgefield.platform.pools.pool import Pool
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.frame_store import load_frames
from forgefield.storage.likeness import SAME_A, seen_before
from forgefield.storage.records import Purpose
from forgefield.storage.settled_frames import bare_frames

TRIES = 3
"""How often what was left out is sampled anew."""
More = Callable[[Pool, int], tuple[Pool, str]]
"""Makes a pool longer, to so many configurations, with a note if they are fewer."""


def longer(pool: Pool, size: int, folder: RunFolder, more: More) -> tuple[Pool, str]:
    """The pool with `size` configurations, those behind its own in no frame of the folder."""
    note = ""
    for _ in range(TRIES):
        if len(pool) >= size:
            return pool, ""
        before = len(pool)
        grown, note = more(pool, size)
        pool = unlabelled(grown, folder, before)
    return pool, note


def unlabelled(pool: Pool, folder: RunFolder, first: int = 0) -> Pool:
    """The pool without configurations from place `first` on that are alike to a frame."""
    if not folder.frames.exists():
        return pool
    known = load_frames(folder.frames, purposes=tuple(Purpose))
    own = bare_frames(pool.molecule, pool.positions_FA3[first:])
    kept_F = np.concatenate([np.ones(first, dtype=bool), ~seen_before(own, known, SAME_A)])
    return replace(
        pool, positions_FA3=pool.positions_FA3[kept_F], temperature_F=pool.temperature_F[kept_F]
    )
