"""Packing: settled labels move from the ledger's inbox into the frame store.

Append and commit first, then drop from the inbox by explicit list. A crash between the two
leaves labels in both places; the next packing finds them in the store and only drops them.
"""

from forgefield.storage.errors import StorageError
from forgefield.storage.frame_store import FrameStore
from forgefield.storage.frames import hex_keys
from forgefield.storage.ledger import Ledger
from forgefield.storage.settled_frames import StoredFrame

FRAMES_A_COMMIT = 5000


def pack(ledger: Ledger, store: FrameStore) -> int:
    """Move everything in the inbox; the number of frames added to the store."""
    seqs, keys = store.rows()
    packed = dict(zip(seqs.tolist(), hex_keys(keys), strict=True))
    moved = 0
    while batch := ledger.inbox(FRAMES_A_COMMIT):
        new = [frame for frame in batch if not _is_packed(frame, packed)]
        store.append(new)
        ledger.drop_from_inbox([frame.seq for frame in batch])
        moved += len(new)
    return moved


def _is_packed(frame: StoredFrame, packed: dict[int, str]) -> bool:
    found = packed.get(frame.seq)
    if found is not None and found != frame.job.key():
        raise StorageError(
            f"Frame {frame.seq} of the store is not the ledger's. They belong to different runs."
        )
    return found is not None
