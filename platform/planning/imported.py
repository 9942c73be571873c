"""Labels that others computed and that a run folder has from a file: they cost nothing."""

import numpy as np

from forgefield.platform.planning.recipe import Methods
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.records import IMPORTED, Tier


def imported_labels(folder: RunFolder, methods: Methods) -> dict[Tier, int]:
    """Imported training labels of a folder by tier: with forces, and of the tier's own method."""
    if not folder.frames.exists():
        return {}
    from forgefield.platform.planning.own_frames import FITTED, own_frames
    from forgefield.trainers.stages.data import with_forces

    own, _ = own_frames(folder.frames, {tier: methods.of(tier) for tier in Tier})
    origins = own.provenance
    from_file = np.array([program.name == IMPORTED for program in origins.programs], dtype=bool)
    there = own.select(np.flatnonzero(from_file[origins.program_F])).of_purpose(*FITTED)
    parts = {tier: there.of_tier(tier) for tier in Tier}
    return {tier: int(with_forces(part).sum()) for tier, part in parts.items() if len(part)}
