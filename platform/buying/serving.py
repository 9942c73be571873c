"""Buying what another thread asks for while it thinks, and lending it cores meanwhile.

Labels don't wait for training, unless it borrows every slot: the buyer goes on with whatever is on
the desk. Training waits for the labels it asked for, and for those that run in slots it borrows.
"""

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
    for slot in phase.slots:
        if slot.recalled and not slot.lent and phase.dispatcher.withdraw(slot.index):
            slot.leave()
        elif slot.lent and not slot.recalled and slot.come_back():
            phase.dispatcher.restore(slot.index)


def _take_all_back(phase: Labelling) -> None:
    """Wait for the cores of slots that nobody borrows any more, for a while."""
    end = time.monotonic() + PATIENCE_S
    while any(slot.lent for slot in phase.slots) and time.monotonic() < end:
        _lend_and_take_back(phase)
        time.sleep(POLL_S)


@contextmanager
def lent(phase: Labelling, count: int, check: Callable[[], None]) -> Iterator[int]:
    """Cores that the cluster has meanwhile, of the last `count` slots; for the other thread.

    Labels that run there are waited for, `check` may raise meanwhile; those elsewhere go on. All
    are taken back at the end.
    """
    slots = phase.slots[max(0, len(phase.slots) - count) :]
    for slot in slots:
        slot.recalled = True
    try:
        while not all(slot.lent for slot in slots):
            check()
            time.sleep(POLL_S)
        yield sum(slot.threads for slot in slots)
    finally:
        for slot in slots:
            slot.recalled = False
