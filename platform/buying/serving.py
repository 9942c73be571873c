"""Buying what another thread asks for while it thinks, and lending it cores meanwhile.

Labels don't wait for training, unless it borrows every slot: the buyer goes on with whatever is on
the desk. Training waits for the labels it asked for, and borrows the slots whose labels end first.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from forgefield.platform.buying.asking import Order
from forgefield.platform.buying.labelling import Labelling

POLL_S, PATIENCE_S = 0.2, 60.0


class Wishes(Protocol):
    """Orders that another thread adds to while they are bought.

    Changes are numbered: `applied` is the last that the orders know of, `starved_at` the last at
    which nothing fitted into the money. `closed` says that no more will come.
    """

    orders: list[Order]
    applied: int
    starved_at: int
    closed: bool

    @property
    def is_empty(self) -> bool:
        """Whether nothing is wanted that isn't bought, of what is applied and what isn't."""

    def settle(self) -> None:
        """Apply what was asked for."""

    def starve(self) -> None:
        """Hear that nothing of what is wanted fits, of the changes that are applied."""

    def wait(self, seconds: float) -> None:
        """Until something is asked for, at most so long."""


def serve(phase: Labelling, wishes: Wishes) -> None:
    """Buy what is asked for as it comes, until that is over; raises as `Labelling.buy` does."""

    def between_purchases() -> None:
        wishes.settle()
        _lend_and_take_back(phase)

    phase.listeners.append(between_purchases)
    try:
        while not wishes.closed:
            between_purchases()
            if _is_idle(phase, wishes):
                wishes.wait(POLL_S)
            else:
                _buy(phase, wishes)
            phase.leave_if_stopped()
        _take_all_back(phase)
    finally:
        phase.listeners.remove(between_purchases)


def _is_idle(phase: Labelling, wishes: Wishes) -> bool:
    starved = wishes.starved_at == wishes.applied
    return wishes.is_empty or starved or not phase.dispatcher.is_in_service


def _buy(phase: Labelling, wishes: Wishes) -> None:
    applied = wishes.applied
    nothing_fits = phase.dispatcher.buy(wishes.orders)
    phase.say_news()
    left_over = any(order.jobs for order in wishes.orders)
    if nothing_fits and left_over and wishes.applied == applied and not phase.stopped:
        wishes.starve()


def _lend_and_take_back(phase: Labelling) -> None:
    """Start nothing more anywhere until as many slots are away as are borrowed; then go on."""
    missing = phase.borrowed - sum(slot.lent for slot in phase.slots)
    if missing > 0:
        missing -= _lend(phase, missing)
    if missing <= 0:
        _take_back(phase, -missing)


def _lend(phase: Labelling, most: int) -> int:
    """Slots that have left now, where no label runs, so many at most."""
    left = 0
    for slot in reversed(phase.slots):
        if left < most and not slot.lent and phase.dispatcher.withdraw(slot.index):
            slot.leave()
            left += 1
    return left


def _take_back(phase: Labelling, count: int) -> None:
    """Have so many of the slots that are away come back when they can; the others hold nothing."""
    away = [slot for slot in phase.slots if slot.lent]
    for slot in away[:count]:
        slot.come_back()
    for slot in away[count:]:
        slot.stay_away()
    for slot in phase.slots:
        if not slot.lent:
            phase.dispatcher.restore(slot.index)


def _take_all_back(phase: Labelling) -> None:
    """Wait for the cores of slots that nobody borrows any more, for a while."""
    end = time.monotonic() + PATIENCE_S
    while any(slot.lent for slot in phase.slots) and time.monotonic() < end:
        _lend_and_take_back(phase)
        time.sleep(POLL_S)


@contextmanager
def lent(
    phase: Labelling, count: int, check: Callable[[], None], patience_s: float = math.inf
) -> Iterator[int]:
    """Cores that the cluster has meanwhile, of `count` slots; for the other thread.

    Slots with nothing to do are taken, then those whose labels end first. They are waited for,
    after `patience_s` only for the first of them; `check` may raise meanwhile. Labels elsewhere go
    on. All are taken back at the end.
    """
    phase.borrowed, end = min(count, len(phase.slots)), time.monotonic() + patience_s
    try:
        while (away := sum(slot.lent for slot in phase.slots)) < phase.borrowed:
            if away and time.monotonic() > end:
                phase.borrowed = away
            else:
                check()
                time.sleep(POLL_S)
        yield phase.borrowed * phase.threads
    finally:
        phase.borrowed = 0
