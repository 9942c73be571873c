"""The labelling phase: actors up, orders bought, actors down.

Everything that needs both Ray and the ledger is put together here; `campaign` decides what is
bought and when.
"""

import signal
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from forgefield.platform.actors import LabelJobs, LedgerService
from forgefield.platform.cluster import slot_strategies
from forgefield.platform.dispatch import Dispatcher, Order
from forgefield.platform.machine import Slots
from forgefield.platform.metrics import CampaignMetrics
from forgefield.platform.plan import TierCost
from forgefield.platform.recipe import Recipe
from forgefield.platform.reporter import Reporter
from forgefield.platform.run_folder import RunFolder
from forgefield.platform.score import Progress
from forgefield.storage.ledger_records import JobState, State, TierTally
from forgefield.storage.records import Molecule, Tier


class Interrupted(KeyboardInterrupt):
    """The user stopped the run; what was in flight has been settled."""


@dataclass(slots=True)
class Labelling:
    """A dispatcher at work on one run folder."""

    dispatcher: Dispatcher
    ledger: "ray.actor.ActorHandle[LedgerService]"
    stopped: bool = False

    def set_cap(self, cap_micro: int, reason: str) -> None:
        """Set what may be spent."""
        ray.get(self.ledger.call.remote("set_cap", cap_micro, reason))

    def tally(self) -> tuple[TierTally, ...]:
        """Labels and money so far."""
        rows: tuple[TierTally, ...] = ray.get(self.ledger.call.remote("tally"))
        return rows

    def buy(self, orders: Sequence[Order]) -> None:
        """Buy what isn't bought yet; raises `Interrupted` if the user stopped it."""
        keys = [job.key() for order in orders for job in order.jobs]
        states = ray.get(self.ledger.call.remote("job_states", keys))
        for order in orders:
            order.jobs = deque(job for job in order.jobs if _is_wanted(states.get(job.key())))
        self.dispatcher.buy(orders)
        if self.stopped:
            raise Interrupted

    def on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """First signal: finish what is in flight. Second: leave at once."""
        if self.stopped:
            raise KeyboardInterrupt
        self.stopped = True
        self.dispatcher.stop()


def _is_wanted(state: JobState | None) -> bool:
    if state is None or state.state == State.WAITING:
        return True
    failure = state.failure
    return (
        state.state == State.FAILED and failure is not None and (failure.kind == "TransientFailure")
    )


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
    ledger = _ledger_service(folder)
    recovery = ray.get(ledger.recover.remote())
    if recovery.adopted or recovery.charged:
        reporter.say(
            f"Recovered: {recovery.adopted} finished labels taken up, {recovery.charged} that were "
            "cut off charged as failed attempts."
        )
    metrics = CampaignMetrics(folder.root.name)
    with slot_strategies(slots, memory) as strategies:
        tally: tuple[TierTally, ...] = ray.get(ledger.call.remote("tally"))
        watch = _watcher(metrics, reporter)
        dispatcher = Dispatcher(strategies, ledger, work, recipe.labels, tally, watch)
        phase = Labelling(dispatcher, ledger)
        with _signals_to(phase):
            yield phase
    ray.kill(ledger)


def _ledger_service(folder: RunFolder) -> "ray.actor.ActorHandle[LedgerService]":
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    options = {"name": f"ledger and frames of {folder.root}", "num_cpus": 0}
    service = ray.remote(LedgerService).options(scheduling_strategy=here, **options)
    return service.remote(folder.ledger_url, folder.frames, folder.spool)


def _watcher(metrics: CampaignMetrics, reporter: Reporter) -> Callable[[Progress], None]:
    def watch(progress: Progress) -> None:
        reporter.labels(progress)
        metrics.show(progress)

    return watch


@contextmanager
def _signals_to(phase: Labelling) -> Iterator[None]:
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in kept:
        signal.signal(number, phase.on_signal)
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
