"""Beyond memory: every frame of one version once an epoch, shuffled, resumable, shared."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
import zarr

from forgefield.storage.datasets import BlockShuffle, FlatFrames, Shard
from forgefield.storage.datasets.stored_blocks import StoredBlocks
from forgefield.storage.errors import HoldoutLocked, InputError, StorageError
from forgefield.storage.formats.release import write_release
from forgefield.storage.frame_store import FrameStore, load_frames
from forgefield.storage.frame_store.holdout import holdout_locked
from forgefield.storage.records import Label, Purpose
from forgefield.storage.settled_frames import StoredFrame
from forgefield.storage.testing import CCSD, XTB, labelled, make_job


def made(seq: int) -> StoredFrame:
    job = make_job(seq, XTB, Purpose.TRAIN if seq % 7 else Purpose.HOLDOUT)
    label = labelled(job).result
    assert isinstance(label, Label)
    return StoredFrame(seq, job, label, 100)


def seqs(batches: list[FlatFrames]) -> list[int]:
    return [int(seq) for batch in batches for seq in batch.seq_F]


@pytest.mark.parametrize("window", [1, 3, 100])
def test_every_frame_comes_once_an_epoch_and_whole(
    path: Path, usual: list[int], window: int
) -> None:
    source = BlockShuffle(path, 8, window=window, several_methods=True)
    first, second = list(source), list(source)
    assert sorted(seqs(first)) == sorted(seqs(second)) == usual
    assert seqs(first) != seqs(second)
    assert len(first) == len(source)
    assert {len(batch) for batch in first} <= {7, 8}
    frames = load_frames(path)
    place = {int(seq): row for row, seq in enumerate(frames.seq_F)}
    for batch in first:
        expected = frames.select(np.array([place[int(seq)] for seq in batch.seq_F]))
        for name in ("ptr", "numbers", "positions_A3", "forces_A3", "energy_F", "cell_F33"):
            np.testing.assert_array_equal(getattr(batch, name), getattr(expected, name), name)
        np.testing.assert_array_equal(batch.stress_F33, expected.stress_F33)


def test_frames_are_mixed_within_and_across_blocks(path: Path) -> None:
    blocks = np.array(seqs(list(BlockShuffle(path, 8, window=4, several_methods=True)))) // 10
    assert len(set(blocks[:20])) >= 4
    assert (np.diff(blocks) < 0).sum() > 20


def test_the_same_seed_gives_the_same_epochs(path: Path) -> None:
    one, other = (
        BlockShuffle(path, 8, seed=5, window=2, several_methods=True),
        BlockShuffle(path, 8, seed=5, window=2, several_methods=True),
    )
    assert seqs(list(one)) == seqs(list(other))
    assert seqs(list(one)) == seqs(list(other))
    assert seqs(list(BlockShuffle(path, 8, seed=6, window=2, several_methods=True))) != seqs(
        list(BlockShuffle(path, 8, seed=5, window=2, several_methods=True))
    )


@pytest.mark.parametrize("done", [0, 1, 7, 20])
def test_an_epoch_is_resumed_anywhere(path: Path, done: int) -> None:
    source = BlockShuffle(path, 8, window=2, several_methods=True)
    expected = [seqs(list(source)), seqs(list(source))]
    broken = BlockShuffle(path, 8, window=2, several_methods=True)
    before = seqs(list(itertools.islice(broken, done)))
    resumed = BlockShuffle(path, 8, window=2, several_methods=True)
    resumed.load_state_dict(broken.state_dict())
    assert before + seqs(list(resumed)) == expected[0]
    assert seqs(list(resumed)) == expected[1]


def test_resuming_reads_only_what_is_left(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = BlockShuffle(path, 8, window=2, several_methods=True)
    state = source.state_dict(done=len(source) - 1)
    source.load_state_dict(state)
    read = []
    block = StoredBlocks.block
    monkeypatch.setattr(
        StoredBlocks, "block", lambda self, number: (read.append(number), block(self, number))[1]
    )
    assert len(list(source)) == 1
    assert len(read) <= 4


def test_ranks_share_the_epoch(path: Path, usual: list[int]) -> None:
    ranks = [
        BlockShuffle(path, 8, window=2, shard=Shard(rank, 3), several_methods=True)
        for rank in range(3)
    ]
    batches = [list(rank) for rank in ranks]
    assert sorted(seq for rank in batches for seq in seqs(rank)) == usual
    assert len({len(rank) for rank in batches}) == 1


def test_the_version_stays_while_the_store_grows(
    growing: FrameStore, usual: list[int], later: list[StoredFrame]
) -> None:
    source = BlockShuffle(growing.path, 8, window=2, several_methods=True)
    state = source.state_dict()
    rows = len(growing)
    growing.append(later)
    growing.withdraw({later[-1].seq + 1: 9})
    assert sorted(seqs(list(source))) == usual
    grown = BlockShuffle(growing.path, 8, window=2, several_methods=True)
    assert len(seqs(list(grown))) > len(usual)
    with pytest.raises(InputError, match="version"):
        grown.load_state_dict(state)
    again = BlockShuffle(growing.path, 8, window=2, version=rows, several_methods=True)
    again.load_state_dict(state)
    assert sorted(seqs(list(again))) == usual
    first = BlockShuffle(growing.path, 8, version=100, several_methods=True)
    assert sorted(seqs(list(first))) == [seq for seq in range(1, 101) if seq % 7]


def test_the_hold_out_comes_only_by_name_and_not_when_locked(path: Path) -> None:
    purposes = [Purpose.HOLDOUT]
    source = BlockShuffle(path, 4, purposes=purposes, several_methods=True)
    assert all(seq % 7 == 0 for seq in seqs(list(source)))
    with holdout_locked(), pytest.raises(HoldoutLocked):
        BlockShuffle(path, 4, purposes=purposes, several_methods=True)


def test_a_damaged_block_is_named(path: Path) -> None:
    (path / "forces" / "c" / "3" / "0").unlink()
    source = BlockShuffle(path, 8, several_methods=True)
    with pytest.raises(StorageError, match=r"forces/c/3/0 .*is missing"):
        list(source)


def test_sharded_copies_give_the_same_batches(path: Path, tmp_path: Path) -> None:
    """A release is one file for many chunks; it has the same arrays and attributes."""
    group = zarr.open_group(path, mode="r")
    copy = zarr.open_group(tmp_path / "release.zarr", mode="w", attributes=group.attrs.asdict())
    for name, array in group.arrays():
        shape = (array.chunks[0] * 4, *array.chunks[1:])
        new = copy.create_array(
            name, shape=array.shape, dtype=array.dtype, chunks=array.chunks, shards=shape,
            fill_value=array.metadata.fill_value,
        )  # fmt: skip
        new[...] = array[...]
    about = {k: v for k, v in group.attrs["forgefield"].items() if k != "crc32c"}  # type: ignore[union-attr]
    copy.attrs["forgefield"] = about
    zarr.consolidate_metadata(copy.store)
    assert seqs(
        list(BlockShuffle(tmp_path / "release.zarr", 8, window=2, several_methods=True))
    ) == seqs(list(BlockShuffle(path, 8, window=2, several_methods=True)))


def test_a_release_is_streamed_as_well(path: Path, tmp_path: Path, usual: list[int]) -> None:
    frames = load_frames(path)
    write_release(frames, tmp_path / "release")
    batches = list(
        BlockShuffle(tmp_path / "release" / "frames.zarr", 8, window=2, several_methods=True)
    )
    assert sorted(seqs(batches)) == usual
    energies = np.sort(np.concatenate([batch.energy_F for batch in batches]))
    np.testing.assert_array_equal(energies, np.sort(frames.energy_F))
    with pytest.raises(StorageError, match=r"is a release.*Import"):
        FrameStore.open_for_writing(tmp_path / "release" / "frames.zarr")


def test_a_window_of_nothing_is_refused(path: Path) -> None:
    with pytest.raises(InputError, match="at least one block"):
        BlockShuffle(path, 8, window=0, several_methods=True)


def test_one_method_is_streamed_by_name_and_several_only_if_asked_for(
    path: Path, usual: list[int]
) -> None:
    with pytest.raises(InputError, match=rf"{re.escape(XTB.name)}.*method="):
        BlockShuffle(path, 8)
    with pytest.raises(InputError, match=rf"'PBE'.*{re.escape(CCSD.name)}"):
        BlockShuffle(path, 8, method="PBE")
    for method in (CCSD, CCSD.name, CCSD.name.lower()):
        assert sorted(seqs(list(BlockShuffle(path, 8, method=method)))) == [
            seq for seq in usual if seq % 2
        ]
    source = BlockShuffle(path, 8, several_methods=True)
    for batch in source:
        found = [source.methods[place] for place in batch.method_F]
        assert found == [(XTB, CCSD)[seq % 2] for seq in batch.seq_F]
        assert set(batch.multiplicity_F.tolist()) == {1}
        assert len(batch.charge_F) == len(batch)


def test_a_store_of_one_method_needs_no_choice_and_a_state_is_of_its_method(path: Path) -> None:
    single = path.parent / "single.zarr"
    with FrameStore.open_for_writing(single) as store:
        store.append([made(seq) for seq in range(2, 60, 2)])
    state = BlockShuffle(single, 4, method=XTB).state_dict(done=1)
    assert sorted(seqs(list(BlockShuffle(single, 4)))) == [s for s in range(2, 60, 2) if s % 7]
    with pytest.raises(InputError, match="method"):
        BlockShuffle(path, 4, method=CCSD).load_state_dict(state)
