"""Packing: settled labels move from the ledger's inbox into the frame store, then withdrawals.

Append and commit first, then drop from the inbox by explicit list. A crash between the two
leaves labels in both places; the next packing finds them in the store and only drops them. The
same holds for withdrawals, which the store learns of once it has all frames.
"""

import numpy as np

from forgefield.storage.errors import StorageError
from forgefield.storage.frame_store import FrameStore
from forgefield.storage.frames import hex_keys
from forgefield.storage.ledger import Ledger

FRAMES_A_COMMIT = 5000


def pack(ledger: Ledger, store: FrameStore) -> int:
    """Move everything in the inbox, and all withdrawals; the number of frames added."""
    packed, moved = _packed_since(store, _first_unpacked(ledger)), 0
    while batch := ledger.inbox(FRAMES_A_COMMIT):
        new = [frame for frame in batch if not _is_packed(frame.seq, frame.job.key(), packed)]
        store.append(new)
        ledger.drop_from_inbox([frame.seq for frame in batch])
        moved += len(new)
    _pack_withdrawals(ledger, store, packed)
    return moved


def _first_unpacked(ledger: Ledger) -> int | None:
    """The lowest number that may have to be packed."""
    seqs = [frame.seq for frame in ledger.inbox(1)]
    seqs += [withdrawal.seq for withdrawal in ledger.withdrawals(unpacked_only=True)]
    return min(seqs, default=None)


def _packed_since(store: FrameStore, first: int | None) -> dict[int, str]:
    """Job keys by number of what the store holds from `first` on: little, however large it is."""
    seqs, keys = store.rows()
    late = seqs >= (np.inf if first is None else first)
    return dict(zip(seqs[late].tolist(), hex_keys(keys[late]), strict=True))


def _pack_withdrawals(ledger: Ledger, store: FrameStore, packed: dict[int, str]) -> None:
    waiting = ledger.withdrawals(unpacked_only=True)
    new = [each for each in waiting if not _is_packed(each.seq, each.job_key, packed)]
    store.withdraw({each.seq: each.frame_seq for each in new})
    ledger.mark_packed([each.seq for each in waiting])


def _is_packed(seq: int, key: str, packed: dict[int, str]) -> bool:
    found = packed.get(seq)
    if found is not None and found != key:
        raise StorageError(
            f"Frame {seq} of the store is not the ledger's. They belong to different runs."
        )
    return found is not None
