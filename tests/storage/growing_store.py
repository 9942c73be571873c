"""A writer that never rests: `python growing_store.py PATH` appends, withdraws, adds columns."""

# ruff: noqa: T201 - the test reads stdout

import sys
from itertools import count
from pathlib import Path

from forgefield.storage.frame_store import FrameStore, columns
from forgefield.storage.records import Label
from forgefield.storage.settled_frames import StoredFrame
from forgefield.storage.testing import labelled, make_job

columns.FRAMES_A_CHUNK = 16
columns.ATOMS_A_CHUNK = 50


def frame(seq: int) -> StoredFrame:
    """The label of `seq` follows from its geometry."""
    job = make_job(seq)
    label = labelled(job).result
    assert isinstance(label, Label)
    return StoredFrame(seq, job, label, 7)


def grow(path: Path) -> None:
    """Append one to five frames at a time; every so often something else happens."""
    seq = 1
    for turn in count():
        with FrameStore.open_for_writing(path) as store:
            for size in (3, 1, 5):
                store.append([frame(seq + i) for i in range(size)])
                seq += size
            if turn % 3 == 1:
                store.withdraw({seq: seq - 2})
                seq += 1
            if turn % 5 == 2:
                store.add_column("twice_seq", 2.0 * store.rows()[0], "frames")
        print(seq, flush=True)


if __name__ == "__main__":
    grow(Path(sys.argv[1]))
