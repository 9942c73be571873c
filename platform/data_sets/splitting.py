"""A split of a data set into training, validation and test frames, recorded in its frame store."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from forgefield.platform.run_folder import RunFolder
from forgefield.storage.errors import InputError
from forgefield.storage.frame_store import FrameStore
from forgefield.storage.splitting import (
    COLUMN,
    LEFT_OUT,
    SplitSettings,
    alike_groups,
    counts,
    holdout_twins,
    split_frames,
)


class SplitReport(BaseModel):
    """What `platform split` did: frames by split, and near-duplicates that were kept together.

    `holdout_twins` are hold-out frames alike to frames that were put into training before.
    """

    model_config = ConfigDict(frozen=True)

    folder: Path
    frames: Mapping[str, int]
    new: int
    groups: int
    holdout_twins: int
    settings: str


def split_folder(folder: RunFolder, settings: SplitSettings) -> SplitReport:
    """Split the frames of a run or a data set, and record it as the column `split`.

    Frames that were split before keep their split. Raises `RunBusy` while a run writes the store,
    `InputError` where there is nothing to split.
    """
    with FrameStore.open_for_writing(folder.frames) as store:
        everything, stands = store.everything()
        standing = np.flatnonzero(stands)
        if not len(standing):
            raise InputError(f"{folder.root} has no frames yet; there is nothing to split.")
        frames = everything.select(standing)
        before = everything.added_F.get(COLUMN, np.full(len(everything), LEFT_OUT))
        split_F = before.astype(np.int64)
        group_F = alike_groups(frames, settings.threshold)
        split_F[standing] = split_frames(frames, settings, split_F[standing], group_F)
        store.add_column(COLUMN, split_F, str(settings))
    return SplitReport(
        folder=folder.root,
        frames=counts(split_F[standing]),
        new=int((before[standing] < 0).sum()),
        groups=len(set(group_F.tolist())),
        holdout_twins=holdout_twins(frames, split_F[standing], group_F),
        settings=str(settings),
    )
