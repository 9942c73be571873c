"""A campaign's rounds, driven: one thread thinks (`thinking`), this one buys what it asks for.

Whatever ends one of them ends the other: Ctrl-C and a wave of failures stop the thinking, an error
in training stops the buying. What is under way by then is settled or found again by the next start.
"""

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from forgefield.platform.buying.asking import Order
from forgefield.platform.buying.labelling import Labelling
from forgefield.platform.buying.serving import serve
from forgefield.platform.forecasting.counts import Counts
from forgefield.platform.planning.allocation import MIDDLE, TARGET
from forgefield.platform.planning.fitted import learnt_tiers
from forgefield.platform.planning.own_frames import counts_of, own_frames
from forgefield.platform.planning.plan import Plan
from forgefield.platform.rounds.chooser import Chooser
from forgefield.platform.rounds.deciding import limits_of
from forgefield.platform.rounds.desk import Desk
from forgefield.platform.rounds.documents import Round
from forgefield.platform.rounds.supply import Supply
from forgefield.platform.rounds.thinking import Stages, Thinker
from forgefield.platform.run_folder import RunFolder
from forgefield.platform.screen.reporter import Reporter
from forgefield.platform.training import running_stages
from forgefield.storage.errors import StorageError
from forgefield.storage.ledger.entries import TierTally
from forgefield.storage.records import Job

PATIENCE_S = 20.0
"""How long an end waits for the thread, which looks up about once a second."""


class _Abandoned(Exception):
    """The buyer has ended; nobody is there to ask any more."""


@dataclass(slots=True)
class _Thought:
    """What the thread came to."""

    record: Round | None = None
    error: BaseException | None = None
    abandoned: threading.Event = field(default_factory=threading.Event)


def run_rounds(
    folder: RunFolder,
    plan: Plan,
    supply: Supply,
    phase: Labelling,
    reporter: Reporter,
    stages: Stages | None = None,
) -> Round:
    """All rounds and, where nothing was saved by stopping early, the top-up; the last record."""
    for order in supply.firm:
        order.jobs = deque(phase.is_wanted(order.jobs))
    desk = Desk(supply.firm, {quote.tier: quote.core_seconds for quote in plan.tiers})
    thought = _Thought()
    check = _checking(phase, thought)
    stages = stages or partial(running_stages, workers=plan.training.workers)
    thinker = Thinker(Chooser(folder, plan, supply), phase, desk, reporter, check, stages)
    with _thinking(thinker, desk, thought):
        serve(phase, desk)
    if thought.error is not None:
        raise thought.error
    if thought.record is None:
        raise StorageError("The rounds ended without a record. Run the same command again.")
    if thought.record.spend_rest:
        frames, _ = own_frames(folder.frames, plan.methods)
        counts = counts_of(frames, learnt_tiers(plan.recipe))
        phase.buy(top_up(supply, plan, phase.ledger.tally(), counts, phase.is_wanted))
    return thought.record


def top_up(
    supply: Supply,
    plan: Plan,
    tally: Sequence[TierTally],
    counts: Counts,
    is_wanted: Callable[[Sequence[Job]], Sequence[Job]],
) -> list[Order]:
    """What the rest of the money goes into, up to the most labels that rounds may reach.

    `counts` are training labels at hand. What is bought already takes no room twice.
    """
    done = sum(row.done for row in tally if row.tier == TARGET) - plan.imported.get(TARGET, 0)
    pool = Counts(len(supply.jobs[TARGET]), len(supply.jobs[MIDDLE]))
    middle = limits_of(plan, counts, pool).top.middle - counts.middle
    room = {TARGET: max(0, plan.recipe.allocation.most_target - done), MIDDLE: middle}
    orders = []
    for order in supply.spare:
        jobs = deque(itertools.islice(is_wanted(order.jobs), room[order.tier]))
        orders.append(replace(order, jobs=jobs, planned=len(jobs)))
    return orders


@contextmanager
def _thinking(thinker: Thinker, desk: Desk, thought: _Thought) -> Iterator[None]:
    def think() -> None:
        try:
            thought.record = thinker.think()
        except BaseException as error:  # noqa: BLE001  (raised again by the buyer)
            thought.error = error
        finally:
            desk.close()

    thread = threading.Thread(target=think, name="rounds", daemon=True)
    thread.start()
    try:
        yield
    finally:
        thought.abandoned.set()
        thread.join(PATIENCE_S)


def _checking(phase: Labelling, thought: _Thought) -> Callable[[], None]:
    def check() -> None:
        phase.leave_if_stopped()
        if thought.abandoned.is_set():
            raise _Abandoned

    return check
