"""The dispatcher buys all that fits, once, whatever dies: workers, labels, the ledger service.

What the toys' scripts (`label 0.2`, `die 1.5, label 0.1`) do is said in `conftest.py`.
"""

from typing import Any

import pytest
from crash.toys import ignore, order, toys, until

from forgefield.platform.buying.purchasing import TIGHTEST_LIMIT, running_cost
from forgefield.storage.errors import StorageError, WaveOfFailures
from forgefield.storage.ledger.entries import State
from forgefield.storage.ledger.recovery import Recovery
from forgefield.storage.records import Tier
from forgefield.storage.testing import XTB
from forgefield.storage.units import from_micro


def test_all_is_bought_once_and_paid_as_used(desk: Any) -> None:
    dear, cheap = toys(*["label 0.2"] * 5), toys(*["label 0.01"] * 40, method=XTB)
    seen: list[Any] = []
    dispatcher = desk.dispatcher(1000, 2, seen.append, batch_core_seconds=2)
    dispatcher.buy([order(dear, 1.5), order(cheap, 0.2)])
    books = desk.audit(dear + cheap)
    assert books.states == [State.DONE] * 45
    assert from_micro(books.balance.spent_micro) == pytest.approx(
        sum(seen[-1].spent.values()), abs=1e-4
    )
    assert seen[-1].done == {Tier.CCSD: 5, Tier.XTB: 40}
    assert list((desk.folder / "spool").iterdir()) == []


def test_a_death_is_charged_by_its_heartbeat_and_tried_again(desk: Any) -> None:
    jobs = toys("die 1.5, label 0.1", "die 1.5")
    desk.dispatcher(1000, 2, ignore, attempts=2).buy([order(jobs)])
    books = desk.audit(jobs)
    assert books.states == [State.DONE, State.FAILED]
    assert [row.failure.kind for row in books.failures] == ["TransientFailure"] * 3
    assert all(900_000 < row.used_micro < 1_600_000 for row in books.failures)


def test_what_was_spooled_before_a_death_is_kept(desk: Any) -> None:
    jobs, seen = toys("lose", "label 0.1"), []
    desk.dispatcher(1000, 1, seen.append).buy([order(jobs)])
    books = desk.audit(jobs)
    assert (books.states, books.failures) == ([State.DONE] * 2, ())
    assert seen[-1].done[Tier.CCSD] == 2
    assert books.balance.spent_micro > 0


@pytest.mark.parametrize(("cap", "charged", "slow"), [(100, 3, State.DONE), (1.5, 1, None)])
def test_an_overrun_is_extended_then_killed(
    desk: Any, cap: float, charged: int, slow: State | None
) -> None:
    jobs = toys("label 60", "label 1.7")
    settings = {"limit_factor": 1, "limit_extra_s": 0.5, "extensions": 2}
    desk.dispatcher(cap, 2, ignore, **settings).buy([order(jobs, 0.5)])
    books = desk.audit(jobs)
    assert books.states == [State.FAILED, slow]
    (killed,) = books.failures
    assert (killed.failure.kind, killed.used_micro) == ("NeedsLargerMachine", charged * 10**6)
    if slow:
        assert 1_700_000 <= books.balance.spent_micro - killed.used_micro <= 3_000_000


def test_a_wave_of_failures_is_raised_after_what_was_in_flight(desk: Any) -> None:
    jobs = toys("wait", *["raise BadConfiguration", "raise NotConverged"] * 3)
    watch = lambda seen: desk.go() if seen.failed[Tier.CCSD] == 3 else None  # noqa: E731
    dispatcher = desk.dispatcher(1000, 2, watch, wave=3)
    with pytest.raises(WaveOfFailures, match=r"3 ccsd labels failed against 0 done.*BadConfig"):
        dispatcher.buy([order(jobs)])
    assert desk.audit(jobs).states == [State.DONE, *[State.FAILED] * 3, None, None, None]


def test_a_stop_settles_what_is_in_flight_and_buys_no_more(desk: Any) -> None:
    jobs = toys("wait", "die 0.1, label 0", "label 0", "label 0")
    stopped: list[int] = []

    def watch(_: object) -> None:
        stopped.append(dispatcher.stop())
        desk.go()

    dispatcher = desk.dispatcher(1000, 2, watch)
    dispatcher.warm()
    dispatcher.buy([order(jobs)])
    assert stopped[0] == 2
    assert desk.audit(jobs).states == [State.DONE, State.FAILED, None, None]


@pytest.mark.parametrize("first", ["label", "service"])
def test_a_label_outlives_the_ledger_service(desk: Any, first: str) -> None:
    """The driver learns of the death from the label's settling, or before it is done."""
    jobs = toys("wait")

    def is_dead() -> bool:
        try:
            desk.clients[0].balance()
        except StorageError:
            return True
        return False

    def watch(_: object) -> None:
        desk.clients[0].stop()
        until(is_dead)
        if first == "label":
            desk.go()

    dispatcher = desk.dispatcher(1000, 1, watch)
    dispatcher.warm()
    with pytest.raises(StorageError, match="Run the same command again"):
        dispatcher.buy([order(jobs)])
    desk.go()
    until(lambda: list((desk.folder / "spool").glob("*.spool.json")))
    assert desk.open() == Recovery(adopted=1, charged=0, packed=1)
    books = desk.audit(jobs)
    assert (books.states, books.failures) == ([State.DONE], ())


def test_a_short_budget_is_used_up_and_never_exceeded(desk: Any) -> None:
    jobs, seen = toys(*["label 0.25"] * 20), []
    wanted = order(jobs, 0.25)
    desk.dispatcher(3, 2, seen.append, limit_extra_s=0.1).buy([wanted])
    books = desk.audit(jobs)
    assert books.states.count(State.DONE) + len(wanted.jobs) == 20
    spent = from_micro(books.balance.spent_micro)
    cost = running_cost(0.25, 2, spent, seen[-1].done[Tier.CCSD])
    assert wanted.jobs
    assert from_micro(books.balance.left_micro) < TIGHTEST_LIMIT * cost
