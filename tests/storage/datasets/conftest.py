"""A store of several blocks: hold-out frames, withdrawals, boxes, energy-only labels."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from forgefield.storage.frame_store import FrameStore, columns
from forgefield.storage.records import Label, Purpose
from forgefield.storage.settled_frames import StoredFrame
from forgefield.storage.testing import CCSD, XTB, labelled, make_job

FRAMES = 203
WITHDRAWN = {FRAMES + 1: 5, FRAMES + 2: 77}
BOX = np.diag([9.0, 8.0, 0.0])


def made(seq: int) -> StoredFrame:
    """Every seventh frame is of the hold-out, every fifth has no forces, every third a box."""
    job = make_job(seq, (XTB, CCSD)[seq % 2], Purpose.TRAIN if seq % 7 else Purpose.HOLDOUT)
    if seq % 3 == 0:
        job = replace(job, configuration=replace(job.configuration, cell_33=BOX))
    label = labelled(job, energy_only=seq % 5 == 0).result
    assert isinstance(label, Label)
    if seq % 3 == 0:
        label = replace(label, stress_33=np.full((3, 3), float(seq)))
    return StoredFrame(seq, job, label, 100)


@pytest.fixture
def growing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FrameStore]:
    """203 frames and two withdrawals in blocks of ten frames and fifty atoms; still open."""
    monkeypatch.setattr(columns, "FRAMES_A_CHUNK", 10)
    monkeypatch.setattr(columns, "ATOMS_A_CHUNK", 50)
    with FrameStore.open_for_writing(tmp_path / "frames.zarr") as store:
        store.append([made(seq) for seq in range(1, FRAMES + 1)])
        store.withdraw(WITHDRAWN)
        yield store


@pytest.fixture
def later() -> list[StoredFrame]:
    """Frames to append behind those that are there."""
    return [made(seq) for seq in range(FRAMES + 3, FRAMES + 40)]


@pytest.fixture
def path(growing: FrameStore) -> Path:
    return growing.path


@pytest.fixture
def usual() -> list[int]:
    """The frames that training may see, by `seq`."""
    taken = set(WITHDRAWN.values())
    return [seq for seq in range(1, FRAMES + 1) if seq % 7 and seq not in taken]
