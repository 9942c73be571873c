"""The labelling phase: actors up, orders bought, actors down.

Everything that needs both Ray and the ledger is put together here; `campaign` decides what is
bought and when.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from forgefield.platform.buying.book_places import book_place
from forgefield.platform.buying.dispatch import Dispatcher, Order
from forgefield.platform.buying.ledger_service import LedgerClient
from forgefield.platform.buying.saved_labels import Saved, saved_words
from forgefield.platform.buying.score import Progress
from forgefield.platform.buying.slots import NUMBERS, Slot
from forgefield.platform.buying.workers import LabelJobs
from forgefield.platform.cluster import slot_strategies
from forgefield.platform.interrupts import Interrupted, signals_to
from forgefield.platform.metrics import CampaignMetrics
from forgefield.platform.planning.machine import Slots
from forgefield.platform.planning.plan import TierCost
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.run_folder import RunFolder
from forgefield.platform.screen.reporter import Reporter
from forgefield.storage.ledger.entries import JobState, State
from forgefield.storage.ledger.recovery import Recovery
from forgefield.storage.records import Job, Molecule, Tier

HOPELESS = frozenset({"BadConfiguration", "NotConverged"})
"""Failures that a new start of the run doesn't mend."""


@dataclass(slots=True)
class Labelling:
    """A dispatcher at work on one run folder."""

    dispatcher: Dispatcher
    ledger: LedgerClient
    reporter: Reporter
    threads: int = 1
    stopped: bool = False

    def buy(self, orders: Sequence[Order]) -> None:
        """Buy what isn't bought yet; raises `Interrupted` if the user stopped it."""
        states = self.ledger.job_states([job.key() for order in orders for job in order.jobs])
        for order in orders:
            order.jobs = deque(job for job in order.jobs if _is_wanted(states.get(job.key())))
        before = self.ledger.saved()
        self.dispatcher.buy(orders)
        self._say_saved(before, self.ledger.saved())
        _say_news(self.ledger, self.reporter)
        self.leave_if_stopped()

    def known_keys(self, jobs: Sequence[Job]) -> set[str]:
        """Those of the jobs that need not be paid for."""
        return {known.key for known in self.ledger.known_labels(jobs)}

    def _say_saved(self, before: Saved, now: Saved) -> None:
        labels, core_seconds = now.labels - before.labels, now.core_seconds - before.core_seconds
        if labels:
            self.reporter.say(f"The label book {saved_words(labels, core_seconds)}.")

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


def _is_wanted(state: JobState | None) -> bool:
    """Not bought, and not a configuration that the method can't do."""
    if state is None or state.state is not State.FAILED:
        return state is None or state.state is State.WAITING
    return state.failure is None or state.failure.kind not in HOPELESS


@contextmanager
def labelling(
    folder: RunFolder,
    molecule: Molecule,
    recipe: Recipe,
    costs: Mapping[Tier, TierCost],
    slots: Slots,
    reporter: Reporter,
) -> Iterator[Labelling]:
    """Start ledger service and workers, recover what was left behind, catch Ctrl-C."""
    memory = max(cost.memory_bytes for cost in costs.values())
    work = {
        tier: LabelJobs(recipe.methods.of(tier), molecule, slots.threads, memory, folder.spool)
        for tier in Tier
    }
    name = f"ledger and frames of {folder.root} ({next(NUMBERS)})"
    book = book_place(folder, recipe.labels)
    ledger = LedgerClient(folder.ledger_url, folder.frames, folder.spool, name, book)
    _say_recovered(ledger.open(), reporter)
    _say_news(ledger, reporter)
    metrics = CampaignMetrics(folder.root.name)
    with slot_strategies(slots, memory) as strategies:
        places = [Slot(index, place, work, ledger) for index, place in enumerate(strategies)]
        watch = _watcher(metrics, reporter)
        dispatcher = Dispatcher(places, ledger, recipe.labels, watch)
        phase = Labelling(dispatcher, ledger, reporter, slots.threads)
        with signals_to(phase.on_signal):
            yield phase
            phase.leave_if_stopped()
    ledger.release()
    ledger.stop()


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


def _watcher(metrics: CampaignMetrics, reporter: Reporter) -> Callable[[Progress], None]:
    said = ""

    def watch(progress: Progress) -> None:
        nonlocal said
        if progress.waiting and progress.waiting != said:
            reporter.say(f"Nothing to buy now: {progress.waiting} …")
        said = progress.waiting
        reporter.labels(progress)
        metrics.show(progress)

    return watch
