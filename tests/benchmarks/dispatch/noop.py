"""Labels that cost nothing to compute, bought by the real ledger service, dispatcher and workers.

The labels are of 21 atoms, the size of aspirin; only the method is a stand-in: it sleeps for as
long as it is told, and answers with a label that follows from the geometry.
"""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray

from forgefield.platform.buying.dispatch import Dispatcher, Order
from forgefield.platform.buying.ledger_service import LedgerClient
from forgefield.platform.buying.slots import Slot
from forgefield.platform.buying.workers import LabelJobs, LabelWorker
from forgefield.platform.planning.recipe import LabelSettings
from forgefield.storage.ledger import Ledger
from forgefield.storage.records import Configuration, Job, Label, Method, Molecule, Purpose, Tier
from forgefield.storage.testing import labelled
from forgefield.storage.units import to_micro

CHEAP, DEAR = Method(Tier.XTB, "no-op"), Method(Tier.CCSD, "no-op, one by one")
SPECIES = (6,) * 9 + (8,) * 4 + (1,) * 8
MOLECULE = Molecule("aspirin", SPECIES, np.zeros((len(SPECIES), 3)))


def jobs(count: int, method: Method) -> deque[Job]:
    """Geometries that differ, of the size of aspirin."""
    shapes = np.random.default_rng(1).normal(size=(count, len(SPECIES), 3))
    return deque(Job(Configuration("aspirin", SPECIES, x), method, Purpose.TRAIN) for x in shapes)


@dataclass
class NoOp:
    """Sleeps, then makes up a label."""

    seconds: float

    def label(self, configuration: Configuration, _threads: int) -> Label:
        """A label that follows from the geometry."""
        time.sleep(self.seconds)
        result = labelled(Job(configuration, DEAR, Purpose.TRAIN)).result
        assert isinstance(result, Label)
        return result


class NoOpWorker(LabelWorker):
    """The real worker around a stand-in for a method: the method's name is the time it takes."""

    def load(self) -> bool:
        """Nothing to load."""
        self._labeler: Any = NoOp(float(self._work.method))
        return True


class NoOpSlot(Slot):
    """A slot without a placement group."""

    def _start(self, tier: Tier) -> Any:
        work, service = self.work[tier], self.ledger.service
        return ray.remote(NoOpWorker).options(num_cpus=0).remote(work, service)


@contextmanager
def opened(folder: Path, cap: float) -> Iterator[LedgerClient]:
    """A ledger service on a new run folder."""
    (folder / "spool").mkdir(parents=True)
    url = f"sqlite:///{folder}/ledger.sqlite"
    client = LedgerClient(url, folder / "frames.zarr", folder / "spool", f"ledger of {folder}")
    client.open()
    client.set_cap(to_micro(cap), "benchmark")
    yield client
    client.stop()


def bought(
    folder: Path, client: LedgerClient, order: Order, workers: int, seconds: float, batch: int
) -> float:
    """Buy an order; the wall time from the first decision to the last frame in the store."""
    work = {order.tier: LabelJobs(str(seconds), MOLECULE, 1, 10**9, folder / "spool")}
    slots = [NoOpSlot(index, None, work, client) for index in range(workers)]  # type: ignore[arg-type]
    settings = LabelSettings(batch_core_seconds=10.0, largest_batch=batch)
    dispatcher = Dispatcher(slots, client, settings, lambda _: None)
    dispatcher.warm()
    start = time.perf_counter()
    dispatcher.buy([order])
    wall_s = time.perf_counter() - start
    for slot in slots:
        slot.kill(order.tier)
    check(folder, len(order.jobs))
    return wall_s


def check(folder: Path, left: int) -> None:
    """All is bought, and the books are in order."""
    with Ledger(f"sqlite:///{folder}/ledger.sqlite", read_only=True) as ledger:
        assert ledger.verify(folder / "frames.zarr") == []
        assert left == 0
