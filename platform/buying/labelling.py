"""The labelling phase: actors up, orders bought, actors down.

Everything that needs both Ray and the ledger is put together here; `campaign` decides what is
bought and when.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from forgefield.platform.book_places import book_place
from forgefield.platform.buying.dispatch import Dispatcher, Order
from forgefield.platform.buying.ledger_service import LedgerClient
from forgefield.platform.buying.purchasing import is_open, longest_seconds
from forgefield.platform.buying.saved_labels import Saved, saved_words
from forgefield.platform.buying.slots import NUMBERS, Slot
from forgefield.platform.buying.workers import LabelJobs
from forgefield.platform.cluster import slot_places
from forgefield.platform.interrupts import Interrupted, signals_to
from forgefield.platform.metrics import CampaignMetrics
from forgefield.platform.planning.machine import Slots
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.planning.tier_quotes import TierCost
from forgefield.platform.run_folder import RunFolder
from forgefield.platform.screen.label_progress import LabelProgress
from forgefield.platform.screen.reporter import Reporter
from forgefield.storage.ledger.entries import JobState
from forgefield.storage.ledger.recovery import Recovery
from forgefield.storage.records import Job, Molecule, Tier


@dataclass(slots=True)
class Labelling:
    """A dispatcher at work on one run folder; `listeners` are called between purchases.

    `borrowed` is how many slots training wants meanwhile, whichever they are.
    `longest` are the core-seconds that a label may take at most, by what the orders of its tier
    expect.
    """

    dispatcher: Dispatcher
    ledger: LedgerClient
    reporter: Reporter
    threads: int = 1
    slots: Sequence[Slot] = ()
    borrowed: int = 0
    stopped: bool = False
    listeners: list[Callable[[], None]] = field(default_factory=list)
    told: Saved = field(default_factory=Saved)
    longest: Mapping[Tier, float] = field(default_factory=dict)

    def buy(self, orders: Sequence[Order]) -> None:
        """Buy what isn't bought yet; raises `Interrupted` if the user stopped it."""
        for order in orders:
            order.jobs = deque(self.is_wanted(order.jobs))
        self.dispatcher.buy(orders)
        self.say_news()
        self.leave_if_stopped()

    def is_wanted(self, jobs: Sequence[Job]) -> list[Job]:
        """Those of the jobs that aren't bought, and that their method can do in the time it has."""
        states = self.ledger.job_states([job.key() for job in jobs])
        return [job for job in jobs if self._is_wanted(job, states.get(job.key()))]

    def _is_wanted(self, job: Job, state: JobState | None) -> bool:
        return is_open(state, self.longest.get(job.method.tier, math.inf))

    def known_keys(self, jobs: Sequence[Job]) -> set[str]:
        """Those of the jobs that need not be paid for."""
        return {known.key for known in self.ledger.known_labels(jobs)}

    def say_news(self) -> None:
        """What the label book has saved since this was last said, and what it has to tell."""
        now = self.ledger.saved()
        labels = now.labels - self.told.labels
        if labels:
            spent = now.core_seconds - self.told.core_seconds
            self.reporter.say(f"The label book {saved_words(labels, spent)}.")
        self.told = now
        _say_news(self.ledger, self.reporter)

    def leave_if_stopped(self) -> None:
        """Raise `Interrupted` if the user asked to stop."""
        if self.stopped:
            raise Interrupted

    def on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """First signal: finish what is in flight. Second: leave at once."""
        if self.stopped:
            raise KeyboardInterrupt
        self.stopped = True
        labels = self.dispatcher.stop()
        self.reporter.say(
            f"Stopping after the {labels} labels in flight; Ctrl-C again to leave them."
        )


@contextmanager
def labelling(
    folder: RunFolder,
    molecule: Molecule,
    recipe: Recipe,
    costs: Mapping[Tier, TierCost],
    slots: Slots,
    reporter: Reporter,
    expected: Mapping[Tier, float] | None = None,
) -> Iterator[Labelling]:
    """Start ledger service and workers, recover what was left behind, catch Ctrl-C.

    `expected` are the core-seconds of a label that orders go by, where these aren't the costs.
    """
    memory = max(cost.memory_bytes for cost in costs.values())
    work = {
        tier: LabelJobs(
            recipe.methods.of(tier),
            molecule,
            slots.threads,
            memory,
            folder.spool,
            tier,
            recipe.stand_in(tier),
        )
        for tier in Tier
    }
    name = f"ledger and frames of {folder.root} ({next(NUMBERS)})"
    book = book_place(folder, recipe.labels)
    ledger = LedgerClient(folder.ledger_url, folder.frames, folder.spool, name, book)
    _say_recovered(ledger.open(), reporter)
    _say_news(ledger, reporter)
    metrics = CampaignMetrics(folder.root.name)
    with slot_places(slots, memory) as places:
        at_work = [Slot(index, place, work, ledger) for index, place in enumerate(places)]
        phase = _phase(at_work, ledger, recipe, metrics, reporter)
        usual = expected or {tier: cost.core_seconds for tier, cost in costs.items()}
        phase.longest = {tier: longest_seconds(s, recipe.labels) for tier, s in usual.items()}
        with signals_to(phase.on_signal):
            yield phase
            phase.leave_if_stopped()
    ledger.release()
    ledger.stop()


def _phase(
    slots: Sequence[Slot],
    ledger: LedgerClient,
    recipe: Recipe,
    metrics: CampaignMetrics,
    reporter: Reporter,
) -> Labelling:
    show = _watcher(metrics, reporter)

    def watch(progress: LabelProgress) -> None:
        show(progress)
        for listener in phase.listeners:
            listener()

    dispatcher = Dispatcher(slots, ledger, recipe.labels, watch)
    phase = Labelling(dispatcher, ledger, reporter, slots[0].threads, slots, told=ledger.saved())
    return phase


def _say_recovered(recovery: Recovery, reporter: Reporter) -> None:
    if recovery.adopted or recovery.charged:
        reporter.say(
            f"Recovered: {recovery.adopted} finished labels taken up, {recovery.charged} that were "
            "cut off charged as failed attempts."
        )
    if recovery.set_aside:
        reporter.say(
            f"{recovery.set_aside} results in the run's spool folder are damaged and could not be "
            "booked; they lie there as *.damaged."
        )


def _say_news(ledger: LedgerClient, reporter: Reporter) -> None:
    for text in ledger.book_news():
        reporter.say(text)


def _watcher(metrics: CampaignMetrics, reporter: Reporter) -> Callable[[LabelProgress], None]:
    said = ""

    def watch(progress: LabelProgress) -> None:
        nonlocal said
        if progress.waiting and progress.waiting != said:
            reporter.say(f"Nothing to buy now: {progress.waiting} …")
        said = progress.waiting
        reporter.labels(progress)
        metrics.show(progress)

    return watch
