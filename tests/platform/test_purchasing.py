"""What is bought next: within the money, never at another need's expense, and when to stop."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forgefield.platform.purchasing import (
    TIGHTEST_LIMIT,
    Buy,
    Need,
    Pause,
    batch_size,
    is_wave,
    is_worth_retrying,
    next_purchase,
    running_cost,
)
from forgefield.platform.recipe import LabelSettings
from forgefield.storage.records import Tier

SETTINGS = LabelSettings()
needs = st.lists(
    st.builds(
        Need,
        st.sampled_from(Tier),
        st.integers(0, 50),
        st.floats(1e-5, 1e4),
        st.booleans(),
    ),
    max_size=6,
)


@given(needs, st.floats(0, 1e6), st.booleans())
def test_a_purchase_fits_beside_what_other_needs_count_on(
    wanted: list[Need], left: float, in_flight: bool
) -> None:
    choice = next_purchase(wanted, left, in_flight=in_flight, settings=SETTINGS)
    if isinstance(choice, Pause):
        return
    need = wanted[choice.need]
    others = sum(n.cost for i, n in enumerate(wanted) if i != choice.need and not n.optional)
    assert choice.core_seconds <= left - others + 1e-6 * left
    assert 1 <= choice.labels <= need.labels
    assert choice.core_seconds >= TIGHTEST_LIMIT * choice.labels * need.core_seconds * (1 - 1e-9)


def test_the_first_wish_that_fits_is_bought() -> None:
    wanted = [Need(Tier.CCSD, 5, 16.0), Need(Tier.DFT, 10, 2.0)]
    assert next_purchase(wanted, 1000, in_flight=False, settings=SETTINGS) == Buy(0, 1, 45.0)


def test_an_expensive_tier_does_not_starve_the_others() -> None:
    """CCSD came out dearer than planned: what is left is what the DFT labels count on."""
    wanted = [Need(Tier.CCSD, 3, 16.0), Need(Tier.DFT, 10, 2.0)]
    choice = next_purchase(wanted, 60, in_flight=False, settings=SETTINGS)
    assert isinstance(choice, Buy)
    assert choice.need == 0
    assert choice.core_seconds == pytest.approx(40)
    choice = next_purchase(wanted, 35, in_flight=False, settings=SETTINGS)
    assert choice == Pause.STOP or (isinstance(choice, Buy) and choice.need == 1)


def test_optional_needs_wait_for_the_required_ones() -> None:
    wanted = [Need(Tier.DFT, 0, 2.0), Need(Tier.CCSD, 9, 16.0, optional=True)]
    assert isinstance(next_purchase(wanted, 50, in_flight=False, settings=SETTINGS), Buy)
    wanted[0] = Need(Tier.DFT, 20, 2.0)
    choice = next_purchase(wanted, 50, in_flight=False, settings=SETTINGS)
    assert isinstance(choice, Buy)
    assert choice.need == 0


def test_waits_for_money_in_flight_and_stops_without() -> None:
    wanted = [Need(Tier.CCSD, 1, 16.0)]
    assert next_purchase(wanted, 10, in_flight=True, settings=SETTINGS) is Pause.WAIT
    assert next_purchase(wanted, 10, in_flight=False, settings=SETTINGS) is Pause.STOP
    assert next_purchase([], 10, in_flight=True, settings=SETTINGS) is Pause.STOP


def test_batches_last_about_as_long_as_asked() -> None:
    assert batch_size(16.0, SETTINGS) == 1
    assert batch_size(1e-3, SETTINGS) == 1000
    assert batch_size(1e-2, SETTINGS) == 200


def test_the_expected_cost_moves_from_the_plan_to_what_is_seen() -> None:
    assert running_cost(10, 2, 0, 0) == 10
    assert running_cost(10, 2, 2000, 98) == pytest.approx(20.2)


def test_only_passing_trouble_is_retried_and_only_so_often() -> None:
    assert is_worth_retrying("TransientFailure", 1, SETTINGS)
    assert not is_worth_retrying("TransientFailure", SETTINGS.attempts, SETTINGS)
    assert not is_worth_retrying("NotConverged", 1, SETTINGS)


def test_a_wave_is_many_failures_and_more_than_successes() -> None:
    assert not is_wave(SETTINGS.wave - 1, 0, SETTINGS)
    assert is_wave(SETTINGS.wave, 0, SETTINGS)
    assert not is_wave(10, 20, SETTINGS)
