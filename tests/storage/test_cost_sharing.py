"""A batch's cost is shared out to the last micro core-second."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgefield.storage.ledger.cost_sharing import apportion, share_cost
from forgefield.storage.testing import failed, labelled, make_job

outcomes = st.lists(st.one_of(st.none(), st.floats(0, 1e4)), min_size=1, max_size=20)


@given(charged=st.integers(0, 10**15), walls=outcomes)
def test_shares_sum_to_the_charge(charged: int, walls: list[float | None]) -> None:
    job = make_job(0)
    shares = share_cost(
        charged, [failed(job) if wall is None else labelled(job, wall_s=wall) for wall in walls]
    )
    assert sum(shares) == charged
    assert min(shares) >= 0


@given(total=st.integers(0, 10**18), weights=st.lists(st.integers(0, 10**12), min_size=1))
def test_apportioned_amounts_follow_the_weights(total: int, weights: list[int]) -> None:
    if not sum(weights):
        return
    for amount, weight in zip(apportion(total, weights), weights, strict=True):
        assert abs(amount - total * weight / sum(weights)) <= 1 + 1e-9 * amount


def test_failures_pay_what_labels_did_not_use() -> None:
    job = make_job(0)
    batch = [labelled(job, wall_s=1.0), failed(job), failed(job)]
    assert share_cost(5_000_001, batch) == [2_000_000, 1_500_000, 1_500_001]
    assert share_cost(1_000_000, batch) == [1_000_000, 0, 0]


@pytest.mark.parametrize("wall_s", [float("nan"), -1.0, 0.0])
def test_unknown_times_share_equally(wall_s: float) -> None:
    job = make_job(0)
    assert share_cost(10, [labelled(job, wall_s=wall_s)] * 2) == [5, 5]
