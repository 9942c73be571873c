"""The dispatcher with its real ledger and workers that are events in virtual time.

So a thousand labelers, deaths, overruns and other spenders fit into a second, and what a decision
costs can be counted in calls instead of seconds.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from benchmarks.dispatch.virtual import Meter, VirtualCrew, VirtualLedger

from forgefield.platform.buying.dispatch import Dispatcher, Order
from forgefield.platform.planning.recipe import LabelSettings
from forgefield.storage.ledger import Ledger
from forgefield.storage.ledger.entries import State
from forgefield.storage.records import Tier
from forgefield.storage.testing import make_jobs
from forgefield.storage.units import from_micro, to_micro

LABEL_S = 30.0


class CountingLedger(VirtualLedger):
    """Counts what is asked of it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, Meter())
        self.calls: Counter[str] = Counter()

    def pack_soon(self) -> None:
        """Only at the end: the frame store is not what is tested."""

    def __getattr__(self, name: str) -> Any:
        self.calls[name] += 1
        return super().__getattr__(name)


class Office:
    """A run folder with a crew of so many places, and an order of so many labels."""

    def __init__(self, folder: Path, places: int, labels: int, cap: float = 1e9) -> None:
        self.folder = folder
        self.ledger = CountingLedger(folder)
        self.ledger.set_cap(to_micro(cap), "test")
        self.crew = VirtualCrew(places, self.ledger, self.ledger._meter, LABEL_S)
        self.jobs = make_jobs(0, labels)
        self.order = Order(deque(self.jobs), labels, Tier.XTB, LABEL_S)

    def dispatcher(self, watch: Any = lambda _: None, **settings: Any) -> Dispatcher:
        """A dispatcher without batches, which no failures stop."""
        made = LabelSettings(**{"largest_batch": 1, "wave": 10**6} | settings)
        return Dispatcher(self.crew, self.ledger, made, watch)  # type: ignore[arg-type]

    def states(self) -> Counter[State]:
        """Where the jobs stand; all invariants hold and nothing is left reserved."""
        with Ledger(f"sqlite:///{self.folder}/ledger.sqlite", read_only=True) as ledger:
            assert ledger.verify(self.folder / "frames.zarr") == []
            assert ledger.balance().reserved_micro == 0
            found = ledger.job_states([job.key() for job in self.jobs])
        return Counter(each.state for each in found.values())


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Callable[..., Office]]:
    made: list[Office] = []

    def opened(places: int, labels: int, **cap: float) -> Office:
        made.append(Office(tmp_path / "run", places, labels, **cap))
        return made[-1]

    yield opened
    for each in made:
        each.ledger.close()


@pytest.mark.parametrize("places", [3, 60])
def test_a_decision_asks_the_ledger_as_often_with_many_places(office: Any, places: int) -> None:
    at = office(places, 150)
    at.dispatcher().buy([at.order])
    states, calls = at.states(), at.ledger.calls
    assert states[State.DONE] + states[State.FAILED] == 150
    assert states[State.DONE] > 140
    assert calls["ask"] - 1 == calls["reserve"] == at.crew.started
    every_now_and_then = at.crew.now() / 5.0
    assert calls["balance"] <= 2 + every_now_and_then + 2 * calls["close_dead"]
    assert calls["tally"] == 1


def test_workers_never_wait_for_the_dispatcher(office: Any) -> None:
    at = office(10, 120)
    shares: list[float] = []

    def watch(_: object) -> None:
        if not at.order.jobs:
            shares.append(at.crew.busy_share())

    at.dispatcher(watch).buy([at.order])
    assert shares[0] > 0.97


def test_what_others_spend_from_the_same_ledger_is_noticed(office: Any) -> None:
    """The purse is a guess; a refused reservation puts the jobs back, in their order."""
    at = office(4, 100, cap=3000)
    others: list[int] = []

    def watch(seen: Any) -> None:
        if seen.done[Tier.XTB] >= 10 and not others:
            left = at.ledger.balance().left_micro
            number = at.ledger.service.call("reserve", make_jobs(1000, 1), left - 10)
            others.append(number)

    at.dispatcher(watch).buy([at.order])
    at.ledger.service.call("refund", others[0], "given back")
    states = at.states()
    assert 10 <= states[State.DONE] < 60
    assert list(at.order.jobs) == at.jobs[-len(at.order.jobs) :]


def test_the_budget_is_spent_to_the_last_label_that_fits(office: Any) -> None:
    at = office(10, 200, cap=2000)
    at.dispatcher().buy([at.order])
    at.states()
    left = from_micro(at.ledger.balance().left_micro)
    assert 0 <= left < 1.5 * LABEL_S
    assert at.order.jobs


def test_a_place_that_is_withdrawn_gets_no_more_work_until_it_is_back(office: Any) -> None:
    at = office(2, 60)
    seen: list[bool] = []
    begun: Counter[int] = Counter()
    label = at.crew.label

    def noted(place: int, *work: Any) -> int:
        begun[place] += 1
        assert not (seen and seen[-1] and place == 1 and len(seen) < 1000), "lent out"
        return label(place, *work)

    def watch(progress: Any) -> None:
        if 10 <= progress.done[Tier.XTB] < 30:
            seen.append(dispatcher.withdraw(1))
        elif seen and seen[-1]:
            seen.append(False)
            dispatcher.restore(1)

    at.crew.label = noted  # type: ignore[method-assign]
    dispatcher = at.dispatcher(watch)
    dispatcher.buy([at.order])
    assert at.states().total() == 60
    assert (seen[0], True in seen) == (False, True), "the label in flight there ended first"
    assert begun[0] - begun[1] > 10
    assert begun[1] > 10


def test_all_places_lent_out_end_the_buying(office: Any) -> None:
    at = office(3, 20)
    dispatcher = at.dispatcher()
    assert all(dispatcher.withdraw(place) for place in range(3))
    dispatcher.buy([at.order])
    assert len(at.order.jobs) == 20
    dispatcher.restore(2)
    dispatcher.buy([at.order])
    assert not at.order.jobs
