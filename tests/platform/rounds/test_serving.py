"""Wishes change between purchases, whatever workers and other runs are at."""

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from spring_buyer import scene_with
from spring_campaign import (
    PRICES,
    LocalLedger,
    Springs,
)

from forgefield.platform.buying import asking, serving
from forgefield.platform.buying.crew import Ended
from forgefield.platform.buying.shared_labels import Asked
from forgefield.platform.buying.workers import worked_of
from forgefield.platform.rounds.desk import Desk
from forgefield.storage.records import Failure, Job, Outcome
from forgefield.storage.units import to_micro


class NeverLabels(Springs):
    """No label ever comes, and each might the next time."""

    tries = 0
    then: Callable[[], None] = staticmethod(lambda: None)

    def _labelled(self, place: int, ticket: int, reservation: int, jobs: Sequence[Job]) -> None:
        self.tries += 1
        self.then()
        outcomes = [Outcome(job, Failure("TransientFailure", "try again")) for job in jobs]
        self.ledger.settle(reservation, outcomes, to_micro(0.01))
        self.at_work.discard(place)
        self._over.put(Ended(ticket, worked=worked_of(outcomes, 0.01)))


def test_a_failed_label_is_pending_until_it_is_given_up(tmp_path: Path) -> None:
    pending: list[bool] = []
    scene = scene_with(tmp_path, lambda ledger: NeverLabels(1, ledger))
    try:
        desk, key = Desk((), PRICES), scene.jobs[0].key()
        scene.crew.then = lambda: pending.append(desk.is_pending(key))  # type: ignore[attr-defined]
        desk.want(scene.jobs[:1])
        desk.settle()
        scene.phase.dispatcher.buy(desk.orders)
        assert len(pending) > 1, "it was tried again"
        assert all(pending)
        assert not desk.is_pending(key)
    finally:
        scene.close()


def test_what_is_dropped_in_flight_is_not_tried_again(tmp_path: Path) -> None:
    scene = scene_with(tmp_path, lambda ledger: NeverLabels(1, ledger))
    try:
        desk = Desk((), PRICES)
        scene.phase.listeners.append(desk.settle)

        def drop() -> None:
            desk.drop()
            time.sleep(0.8)  # the buyer looks up meanwhile

        scene.crew.then = drop  # type: ignore[attr-defined]
        desk.want(scene.jobs[:1])
        desk.settle()
        scene.phase.dispatcher.buy(desk.orders)
        assert scene.crew.tries == 1  # type: ignore[attr-defined]
    finally:
        scene.close()


class BusyElsewhere:
    """A ledger by which another run buys everything until `free`."""

    def __init__(self, ledger: LocalLedger) -> None:
        self._ledger, self.free = ledger, threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def ask(self, jobs: Sequence[Job], *, claim: bool) -> Asked:  # noqa: ARG002
        """Busy with run `other`."""
        keys = tuple(job.key() for job in jobs)
        if self.free.is_set():
            return Asked(granted=keys)
        return Asked(busy=keys, holders=("other",) * len(keys))


def test_nothing_is_bought_after_the_end_that_another_run_gave_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "ASK_AGAIN_S", 0.1)
    books: list[BusyElsewhere] = []

    def ledger_of(ledger: LocalLedger) -> BusyElsewhere:
        books.append(BusyElsewhere(ledger))
        return books[0]

    scene = scene_with(tmp_path, lambda ledger: Springs(1, ledger, loads_s=0.01), ledger_of)
    desk = Desk((), PRICES)

    def think() -> None:
        desk.want(scene.jobs[:3])
        time.sleep(0.5)
        desk.close()
        time.sleep(0.5)
        books[0].free.set()

    thread = threading.Thread(target=think)
    thread.start()
    try:
        serving.serve(scene.phase, desk)
        assert not books[0].free.is_set(), "the end waits for no other run"
        thread.join()
        assert sum(row.done for row in scene.ledger.tally()) == 0
    finally:
        thread.join()
        scene.close()
