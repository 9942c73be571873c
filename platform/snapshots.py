"""The frames that a training reads: a copy that doesn't grow.

The run's store grows while a round trains, and a stage is known by its data set; so it trains on a
copy, which is complete or absent.
"""

import shutil
from pathlib import Path

from forgefield.storage.frame_store import FrameStore
from forgefield.storage.frame_store.durable_store import sync_folder
from forgefield.storage.frames import Frames
from forgefield.storage.settled_frames import to_stored


def snapshot(frames: Frames, place: Path) -> Path:
    """The store at `place`, made of these frames where it isn't there; durable from then on."""
    if not place.exists():
        _make(frames, place)
    sync_folder(place.parent)
    return place


def _make(frames: Frames, place: Path) -> None:
    partial = place.with_name(f".{place.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    with FrameStore.open_for_writing(partial) as store:
        store.append([to_stored(frames, at) for at in range(len(frames))])
    partial.rename(place)
    partial.with_name(f"{partial.name}.lock").unlink(missing_ok=True)
