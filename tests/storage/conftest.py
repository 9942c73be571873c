"""Fixtures: an empty ledger with a cap of one core-second, an empty frame store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from forgefield.storage.frame_store import FrameStore
from forgefield.storage.ledger import Ledger

CAP = 1_000_000


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(f"sqlite:///{tmp_path}/ledger.sqlite") as opened:
        opened.set_cap(CAP, "test")
        yield opened


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FrameStore]:
    with FrameStore.open_for_writing(tmp_path / "frames.zarr") as opened:
        yield opened
