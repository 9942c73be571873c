"""Slots: the places labels run in, one label at a time, with the workers started there."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

import ray
from ray.actor import ActorHandle
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from forgefield.platform.actors import LabelJobs, LabelWorker, LedgerService
from forgefield.storage.records import Tier

NUMBERS = itertools.count(1)
"""Tells apart workers that follow each other in a slot: Ray wants names to be unique."""


@dataclass(slots=True)
class Slot:
    """One bundle of cores and memory; a worker a tier, started when first asked for."""

    index: int
    strategy: PlacementGroupSchedulingStrategy
    work: Mapping[Tier, LabelJobs]
    ledger: "ActorHandle[LedgerService]"
    workers: dict[Tier, "ActorHandle[LabelWorker]"] = field(default_factory=dict)

    def worker(self, tier: Tier) -> "ActorHandle[LabelWorker]":
        """The worker of a tier; it may still be loading its libraries."""
        if tier not in self.workers:
            self.workers[tier] = self._start(tier)
        return self.workers[tier]

    def forget(self, tier: Tier) -> None:
        """Start a new worker next time: this one is dead."""
        self.workers.pop(tier, None)

    def _start(self, tier: Tier) -> "ActorHandle[LabelWorker]":
        work = self.work[tier]
        place = f"slot {self.index}, {_threads(work)}"
        options = ray.remote(LabelWorker).options(
            name=f"{tier.value} labels, {place} (worker {next(NUMBERS)})",
            num_cpus=0,
            scheduling_strategy=self.strategy,
            runtime_env={"env_vars": {"OMP_NUM_THREADS": str(work.threads)}},
        )
        return options.remote(work, self.ledger)


def _threads(work: LabelJobs) -> str:
    return "1 thread" if work.threads == 1 else f"{work.threads} threads"
