"""A run folder with real Ray, ledger service and dispatcher, where only the labels are toys.

A toy does what the molecule's name of its configuration says: one act a try, the last one again.
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
from ray import cloudpickle

from forgefield.platform.buying.dispatch import Dispatcher, Watcher
from forgefield.platform.buying.ledger_service import LedgerClient
from forgefield.platform.buying.slots import NUMBERS, Slot
from forgefield.platform.buying.workers import LabelJobs, LabelWorker, Worked
from forgefield.platform.planning.recipe import LabelSettings
from forgefield.storage import errors
from forgefield.storage.ledger import Ledger
from forgefield.storage.ledger.entries import Balance, FailureRow, State
from forgefield.storage.ledger.recovery import Recovery
from forgefield.storage.records import Configuration, Job, Label, Molecule, Purpose, Tier
from forgefield.storage.testing import CCSD, labelled, make_job
from forgefield.storage.units import to_micro

MOLECULE = Molecule("toy", (8, 1, 1), make_job(0).configuration.positions_A3)


@dataclass
class ToyLabeler:
    """`label S` sleeps, `wait` lasts until `go` exists, `die S` sleeps and ends the process."""

    folder: Path

    def label(self, configuration: Configuration, _threads: int) -> Label:
        """Do the next act of the script; acts are counted in a file, past all deaths."""
        with (self.folder / configuration.key()).open("a") as tries:
            acts = configuration.molecule.split(", ")
            act, _, detail = acts[min(tries.tell(), len(acts) - 1)].partition(" ")
            tries.write(".")
        if act == "hog":
            self.held = bytearray(os.urandom(1 << 20)) * 6000
        if act == "raise" or (act == "lose" and detail):
            raise getattr(errors, detail)("no luck")
        while act == "wait" and not (self.folder / "go").exists():
            time.sleep(0.02)
        time.sleep(float(detail or 0))
        if act == "die":
            os._exit(1)
        return labelled(Job(configuration, CCSD, Purpose.TRAIN)).result


class Cut:
    """Stands where the ledger service was: who calls it dies, its result spooled."""

    def __getattr__(self, name: str) -> object:
        os._exit(1)


class ToyWorker(LabelWorker):
    """Spools, beats and settles as the real one; with `lose` it dies before it settles."""

    def load(self) -> bool:
        """Nothing to load."""
        self._labeler = ToyLabeler(self._work.spool.parent)
        return True

    def label(self, reservation: int, jobs: Sequence[Job]) -> Worked:
        """The real thing, perhaps without a ledger."""
        if jobs[0].configuration.molecule.startswith("lose"):
            self._ledger = Cut()
        worked = super().label(reservation, jobs)
        if jobs[0].configuration.molecule == "late":
            os._exit(1)
        return worked


class ToySlot(Slot):
    """A slot without a placement group."""

    def _start(self, tier: Tier) -> Any:
        work = self.work[tier]
        return ray.remote(ToyWorker).options(num_cpus=0).remote(work, self.ledger.service)


@dataclass
class Books:
    """What the ledger says in the end; a job that was never reserved stands at `None`."""

    balance: Balance
    states: list[State | None]
    failures: tuple[FailureRow, ...]


@dataclass
class Desk:
    """A run folder with its ledger service."""

    folder: Path
    slots: list[ToySlot] = field(default_factory=list)
    clients: list[LedgerClient] = field(default_factory=list)

    def open(self) -> Recovery:
        """Start a ledger service, the first or the next."""
        url, name = f"sqlite:///{self.folder}/ledger.sqlite", f"ledger {next(NUMBERS)}"
        client = LedgerClient(url, self.folder / "frames.zarr", self.folder / "spool", name)
        self.clients.append(client)
        return client.open()

    def dispatcher(self, cap: float, slots: int, watch: Watcher, **settings: Any) -> Dispatcher:
        """A dispatcher over toy workers of one thread, by default without batches."""
        client = self.clients[-1]
        client.set_cap(to_micro(cap), "test")
        (self.folder / "spool").mkdir()
        jobs = LabelJobs("toy", MOLECULE, 1, 10**9, self.folder / "spool")
        work = {Tier.XTB: jobs, Tier.CCSD: jobs}
        self.slots += [ToySlot(index, None, work, client) for index in range(slots)]
        return Dispatcher(
            self.slots,
            client,
            LabelSettings(**{"batch_core_seconds": 1e-3, "grace_s": 0.0} | settings),
            watch,
        )

    def go(self) -> None:
        """Let every label go on that waits."""
        (self.folder / "go").touch()

    def audit(self, jobs: Sequence[Job]) -> Books:
        """Every invariant holds, at every line of the money log, and nothing is left open."""
        with Ledger(f"sqlite:///{self.folder}/ledger.sqlite", read_only=True) as ledger:
            assert ledger.verify(self.folder / "frames.zarr") == []
            states, failures = ledger.job_states([j.key() for j in jobs]), ledger.failures()
            balance = ledger.balance()
        assert balance.reserved_micro == 0
        assert balance.spent_micro <= balance.cap_micro
        found = [states[j.key()].state if j.key() in states else None for j in jobs]
        return Books(balance, found, failures)


HOG_BYTES = 4 * 10**9
"""Beyond what is in use when the tests begin a worker is killed; a hog takes half as much again."""


@pytest.fixture(scope="module")
def _cluster() -> Iterator[None]:
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    with pytest.MonkeyPatch.context() as patch:  # later clusters must not inherit it
        memory = psutil.virtual_memory()
        hogged = min(0.95, (memory.used + HOG_BYTES) / memory.total)
        patch.setenv("RAY_memory_usage_threshold", f"{hogged:.3f}")
        patch.setenv("RAY_memory_monitor_refresh_ms", "100")
        ray.init(address="local", num_cpus=2, **quiet)
    yield
    ray.shutdown()
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.fixture
def desk(_cluster: None, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    made.open()
    yield made
    for slot in made.slots:
        for tier in slot.work:
            slot.kill(tier)
    for client in made.clients:
        client.stop()
