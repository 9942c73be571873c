"""Labels that others computed and that a run folder has from a file: they cost nothing."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from forgefield.platform.planning.allocation import NOTHING
from forgefield.platform.planning.recipe import Methods
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.records import IMPORTED, Tier


@dataclass(frozen=True, slots=True)
class Imported:
    """Training labels by tier, with forces and of the tier's own method.

    `left_out` says in words what the folder has of other methods.
    """

    labels: Mapping[Tier, int]
    left_out: tuple[str, ...] = ()


def imported_labels(folder: RunFolder, methods: Methods) -> Imported:
    """What a folder has from files."""
    if not folder.frames.exists():
        return Imported(NOTHING)
    from forgefield.platform.planning.own_frames import FITTED, own_frames
    from forgefield.trainers.stages.data import with_forces

    own, left_out = own_frames(folder.frames, {tier: methods.of(tier) for tier in Tier})
    origins = own.provenance
    from_file = np.array([program.name == IMPORTED for program in origins.programs], dtype=bool)
    there = own.select(np.flatnonzero(from_file[origins.program_F])).of_purpose(*FITTED)
    parts = {tier: there.of_tier(tier) for tier in Tier}
    labels = {tier: int(with_forces(part).sum()) for tier, part in parts.items() if len(part)}
    return Imported(labels, left_out)
