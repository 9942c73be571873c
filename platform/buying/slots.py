"""Slots: the places labels run in, one label at a time, with the workers started there.

A slot can be lent to training: the label in flight there ends, its workers end and its cores go
back to the cluster; later it comes back. Only whoever runs labels does that (`serving`), so nothing
of a slot changes while a label runs in it.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

import ray
from ray.actor import ActorHandle

from forgefield.platform.buying.ledger_service import LedgerClient
from forgefield.platform.buying.workers import LabelJobs, LabelWorker
from forgefield.platform.cluster import Place
from forgefield.platform.planning.throughput import thread_variables
from forgefield.storage.records import Tier

NUMBERS = itertools.count(1)
"""Tells apart workers that follow each other in a slot: Ray wants names to be unique."""


@dataclass(slots=True)
class Slot:
    """One bundle of cores and memory; a worker a tier, started when first asked for."""

    index: int
    place: Place
    work: Mapping[Tier, LabelJobs]
    ledger: LedgerClient
    workers: dict[Tier, "ActorHandle[LabelWorker]"] = field(default_factory=dict)
    loads: dict[Tier, "ray.ObjectRef[bool]"] = field(default_factory=dict)
    lent: bool = False

    def leave(self) -> None:
        """Give cores and memory back to the cluster; no label runs here."""
        for tier in list(self.workers):
            self.kill(tier)
        self.place.free()
        self.lent = True

    def come_back(self) -> bool:
        """Ask for cores and memory again; whether they are there."""
        self.place.reserve()
        self.lent = not self.place.is_ready()
        return not self.lent

    def stay_away(self) -> None:
        """Ask for them no longer: they are lent on."""
        self.place.free()

    def worker(self, tier: Tier) -> "ActorHandle[LabelWorker]":
        """The worker of a tier; it may still be loading its libraries."""
        if tier not in self.workers:
            self.workers[tier] = self._start(tier)
            self.loads[tier] = self.workers[tier].load.remote()
        return self.workers[tier]

    @property
    def threads(self) -> int:
        """Cores of a label here."""
        return next(iter(self.work.values())).threads

    def loading(self, tier: Tier) -> "ray.ObjectRef[bool]":
        """Done once the worker has loaded its libraries; raises what loading raised."""
        self.worker(tier)
        return self.loads[tier]

    def kill(self, tier: Tier) -> None:
        """End a worker, if it is not dead already; a new one is started when next asked for."""
        self.loads.pop(tier, None)
        worker = self.workers.pop(tier, None)
        if worker is not None:
            ray.kill(worker)

    def _start(self, tier: Tier) -> "ActorHandle[LabelWorker]":
        work = self.work[tier]
        place = f"slot {self.index}, {_threads(work)}"
        options = ray.remote(LabelWorker).options(
            name=f"{tier.value} labels, {place} (worker {next(NUMBERS)})",
            num_cpus=0,
            scheduling_strategy=self.place.strategy,
            runtime_env={"env_vars": thread_variables(work.threads)},
        )
        return options.remote(work, self.ledger.service)


def _threads(work: LabelJobs) -> str:
    return "1 thread" if work.threads == 1 else f"{work.threads} threads"
