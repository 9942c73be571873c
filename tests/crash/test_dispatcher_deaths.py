"""Deaths at awkward moments: after settling, after spooling a failure, inside a batch, for memory.

What the toys' scripts (`label 0.2`, `die 1.5`) do is said in `conftest.py`.
"""

from typing import Any

import pytest
from crash.toys import ignore, order, toys

from forgefield.platform.screen.label_progress import LabelProgress
from forgefield.storage.errors import WaveOfFailures
from forgefield.storage.ledger.entries import State
from forgefield.storage.records import Tier
from forgefield.storage.testing import XTB


def test_a_death_after_settling_is_no_failure(desk: Any) -> None:
    jobs = toys("late")
    seen: list[LabelProgress] = []
    desk.dispatcher(1000, 1, seen.append).buy([order(jobs)])
    assert desk.audit(jobs).states == [State.DONE]
    assert (seen[-1].done[Tier.CCSD], seen[-1].failed[Tier.CCSD]) == (1, 0)


@pytest.mark.parametrize("script", ["die 0.1", "label 60"])
def test_one_label_doesnt_take_its_batch_with_it(desk: Any, script: str) -> None:
    jobs = toys(*["label 0.01"] * 7, script, method=XTB)
    settings = {"limit_factor": 1, "limit_extra_s": 1, "extensions": 1}
    desk.dispatcher(1000, 1, ignore, batch_core_seconds=2, **settings).buy([order(jobs)])
    assert desk.audit(jobs).states == [*[State.DONE] * 7, State.FAILED]


def test_spooled_failures_count_as_failures(desk: Any) -> None:
    jobs = toys(*["lose NotConverged"] * 3)
    seen: list[LabelProgress] = []
    with pytest.raises(WaveOfFailures):
        desk.dispatcher(1000, 1, seen.append, wave=2).buy([order(jobs)])
    assert seen[-1].done[Tier.CCSD] == 0


def test_a_worker_killed_for_its_memory_stops_nothing_else(desk: Any) -> None:
    jobs = toys("hog 6", "label 0.1")
    desk.dispatcher(1000, 1, ignore, attempts=1).buy([order(jobs)])
    assert desk.audit(jobs).states == [State.FAILED, State.DONE]
