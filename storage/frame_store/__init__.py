"""The frame store: `frames.zarr`, plain Zarr v3 with one commit point, and its readers."""

from forgefield.storage.frame_store.reading import (
    DatasetVersion,
    dataset_version,
    load_frames,
    stored_rows,
)
from forgefield.storage.frame_store.verifying import verify_store
from forgefield.storage.frame_store.writing import FrameStore

__all__ = [
    "DatasetVersion",
    "FrameStore",
    "dataset_version",
    "load_frames",
    "stored_rows",
    "verify_store",
]
