"""Any order of the frame store's own steps: versions stay what they were, whoever comes after.

The model is a list of rows and the columns added to them. After every step the store holds just
that, and each version named before still has its content.
"""
# ruff: noqa: D102 - a rule's name says what it does

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from forgefield.storage.errors import InputError, StorageError
from forgefield.storage.frame_store import FrameStore, load_frames
from forgefield.storage.frame_store.commit import StoreFiles
from forgefield.storage.frame_store.reading import DatasetVersion, dataset_version
from forgefield.storage.frame_store.verifying import verify_store
from forgefield.storage.records import Label, Purpose
from forgefield.storage.settled_frames import StoredFrame
from forgefield.storage.testing import labelled, make_job


class Killed(BaseException):
    """The process is gone; nothing catches it on the way."""


class StoreMachine(RuleBasedStateMachine):
    """The store against its model: (seq, None) is a frame, (seq, other) takes back the other."""

    def __init__(self) -> None:
        super().__init__()
        self.path = Path(tempfile.mkdtemp(prefix="forgefield-")) / "frames.zarr"
        self.rows: list[tuple[int, int | None]] = []
        self.columns: dict[str, np.ndarray] = {}
        self.versions: dict[DatasetVersion, list[int]] = {}

    @initialize()
    def start(self) -> None:
        self.store = FrameStore.open_for_writing(self.path)

    @rule(count=st.integers(1, 5))
    def append(self, count: int) -> None:
        frames = self._next_frames(count)
        self.store.append(frames)
        self.rows += [(frame.seq, None) for frame in frames]

    @precondition(lambda self: self._standing())
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        frame = data.draw(st.sampled_from(self._standing()))
        seq = len(self.rows) + 1
        self.store.withdraw({seq: frame})
        self.rows.append((seq, frame))

    @rule()
    def withdraw_what_is_not_there(self) -> None:
        with pytest.raises(StorageError, match="to withdraw"):
            self.store.withdraw({len(self.rows) + 1: 10**6})

    @precondition(lambda self: self.rows)
    @rule(name=st.sampled_from(["bias", "spread"]), gaps=st.integers(1, 4))
    def add_column(self, name: str, gaps: int) -> None:
        old = self._padded(name)
        new = np.arange(len(self.rows), dtype=np.float64) * len(name)
        new[::gaps] = np.nan
        new = np.where(np.isnan(old), new, old)
        self.store.add_column(name, new, "eV")
        self.columns[name] = new

    @precondition(lambda self: any(not np.isnan(c).all() for c in self.columns.values()))
    @rule()
    def change_a_column(self) -> None:
        name = next(n for n, c in self.columns.items() if not np.isnan(c).all())
        with pytest.raises(InputError, match="would change"):
            self.store.add_column(name, self._padded(name) + 1.0, "eV")

    @rule()
    def name_a_version(self) -> None:
        self.versions[self.store.version()] = self._standing()

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = FrameStore.open_for_writing(self.path)

    @rule(count=st.integers(1, 5))
    def crash_before_the_commit(self, count: int) -> None:
        frames = self._next_frames(count)
        with patch.object(StoreFiles, "_commit", side_effect=Killed), suppress(Killed):
            self.store.append(frames)
        self.reopen()

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        if not hasattr(self, "store"):
            return
        assert len(self.store) == len(self.rows)
        assert self.store.rows()[0].tolist() == [seq for seq, _ in self.rows]
        frames = load_frames(self.path, tuple(Purpose))
        standing = self._standing()
        assert frames.seq_F.tolist() == standing
        for place, seq in enumerate(standing):
            positions = make_job(seq).configuration.positions_A3
            assert np.array_equal(frames.positions_A3[frames.atoms_of(place)], positions)
        for name in self.columns:
            expected = self._padded(name)[[seq - 1 for seq in standing]]
            assert np.array_equal(frames.added_F[name], expected, equal_nan=True)

    @invariant()
    def versions_stay(self) -> None:
        for version, standing in self.versions.items():
            assert dataset_version(self.path, version.frames) == version
            frames = load_frames(self.path, tuple(Purpose), version.frames)
            assert frames.seq_F.tolist() == standing

    @invariant()
    def every_byte_is_sound(self) -> None:
        if hasattr(self, "store"):
            assert verify_store(self.path) == []

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
        shutil.rmtree(self.path.parent)

    def _next_frames(self, count: int) -> list[StoredFrame]:
        first = len(self.rows) + 1
        frames = []
        for seq in range(first, first + count):
            label = labelled(make_job(seq), energy_only=seq % 5 == 0).result
            assert isinstance(label, Label)
            frames.append(StoredFrame(seq, make_job(seq), label, seq))
        return frames

    def _standing(self) -> list[int]:
        taken = {frame for _, frame in self.rows if frame is not None}
        return [seq for seq, frame in self.rows if frame is None and seq not in taken]

    def _padded(self, name: str) -> np.ndarray:
        column = self.columns.get(name, np.empty(0))
        return np.concatenate([column, np.full(len(self.rows) - len(column), np.nan)])


def test_the_store_agrees_with_its_model() -> None:
    run_state_machine_as_test(
        StoreMachine, settings=settings(max_examples=6, stateful_step_count=15, deadline=None)
    )


@pytest.mark.slow
def test_the_store_agrees_with_its_model_for_long() -> None:
    run_state_machine_as_test(
        StoreMachine, settings=settings(max_examples=200, stateful_step_count=40, deadline=None)
    )
