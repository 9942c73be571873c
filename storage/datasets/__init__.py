"""Frames for training: batches from memory or from disk, for our trainers and others.

`torch_data`, `pyg_data` and `ase_data` need the library of their name; the rest needs none.
"""

from forgefield.storage.datasets.block_shuffle import BlockShuffle
from forgefield.storage.datasets.flat_frames import FlatFrames
from forgefield.storage.datasets.plain_data import PlainFrames
from forgefield.storage.datasets.sharing import Shard, SharedBatches

__all__ = ["BlockShuffle", "FlatFrames", "PlainFrames", "Shard", "SharedBatches"]
