"""Every frame once an epoch, the same number of batches on every rank, resumed anywhere."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgefield.storage.datasets import Shard, SharedBatches
from forgefield.storage.datasets.sharing import BatchPlan
from forgefield.storage.errors import InputError


@given(
    frames=st.integers(1, 3000),
    batch=st.integers(1, 70),
    shards=st.integers(1, 9),
)
def test_the_shares_of_an_epoch(frames: int, batch: int, shards: int) -> None:
    if frames < shards:
        with pytest.raises(InputError, match="can't be shared"):
            BatchPlan(frames, batch, Shard(0, shards))
        return
    plans = [BatchPlan(frames, batch, Shard(number, shards)) for number in range(shards)]
    assert len({plan.batches for plan in plans}) == 1
    bounds = [plan.bounds(number) for plan in plans for number in range(plan.batches)]
    assert bounds[0][0] == 0
    assert bounds[-1][1] == frames
    assert all(before[1] == after[0] for before, after in itertools.pairwise(bounds))
    sizes = {last - first for first, last in bounds}
    assert max(sizes) - min(sizes) <= 1 + (batch == 1)
    assert min(sizes) >= 1
    assert max(sizes) <= batch + (frames % shards > 0)


def epoch(ranks: list[SharedBatches]) -> list[list[list[int]]]:
    return [[index.tolist() for index in rank] for rank in ranks]


def test_ranks_share_every_epoch_in_another_order() -> None:
    ranks = [SharedBatches(101, 8, seed=3, shard=Shard(rank, 3)) for rank in range(3)]
    first, second = epoch(ranks), epoch(ranks)
    for batches in (first, second):
        seen = [frame for rank in batches for batch in rank for frame in batch]
        assert sorted(seen) == list(range(101))
        assert [len(rank) for rank in batches] == [len(ranks[0])] * 3
    assert first != second
    again = [SharedBatches(101, 8, seed=3, shard=Shard(rank, 3)) for rank in range(3)]
    assert epoch(again) == first
    again[0].set_epoch(1)
    assert epoch(again[:1]) == second[:1]
    assert epoch([SharedBatches(101, 8, seed=4)]) != epoch([SharedBatches(101, 8, seed=3)])


def test_an_epoch_goes_on_where_its_state_was_taken() -> None:
    whole = SharedBatches(50, 7)
    expected = epoch([whole, whole])
    broken = SharedBatches(50, 7)
    before = [index.tolist() for index in itertools.islice(broken, 3)]
    state = broken.state_dict()
    resumed = SharedBatches(50, 7)
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    assert before + epoch([resumed])[0] == expected[0]
    assert epoch([resumed])[0] == expected[1]
    resumed.load_state_dict(broken.state_dict(done=1))
    assert epoch([resumed])[0] == expected[0][1:]


def test_naming_the_epoch_of_a_loaded_state_keeps_the_place() -> None:
    expected = epoch([SharedBatches(50, 7)])[0]
    resumed = SharedBatches(50, 7)
    resumed.load_state_dict(resumed.state_dict(done=3))
    resumed.set_epoch(0)
    assert resumed.state_dict()["done"] == 3
    assert epoch([resumed])[0] == expected[3:]
    assert resumed.epoch == 1
    resumed.set_epoch(0)
    next(iter(resumed))
    resumed.set_epoch(0)
    assert epoch([resumed])[0] == expected
    resumed.load_state_dict({**resumed.state_dict(done=3), "epoch": 4})
    resumed.set_epoch(0)
    assert epoch([resumed])[0] == expected


def test_a_state_of_other_data_is_refused() -> None:
    state = SharedBatches(50, 7).state_dict()
    with pytest.raises(InputError, match="frames 50, this is 51"):
        SharedBatches(51, 7).load_state_dict(state)


def test_an_epoch_that_was_left_begins_anew() -> None:
    batches = SharedBatches(50, 7)
    first = next(iter(batches))
    np.testing.assert_array_equal(next(iter(batches)), first)


def test_wrong_ranks_are_refused() -> None:
    with pytest.raises(InputError, match="Rank 3"):
        Shard(3, 3)
    with pytest.raises(InputError, match="at least one frame"):
        SharedBatches(50, 0)
