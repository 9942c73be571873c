"""What real failures cost: each is charged once, and what may succeed is tried again.

Labelers, Ray, dispatcher and ledger are those of a campaign. Only the slot's placement group is
left out, and orders are made by hand.
"""

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from forgefield.labelers.molecules import find_molecule
from forgefield.platform.buying.dispatch import Dispatcher, Order
from forgefield.platform.buying.labelling import Labelling
from forgefield.platform.buying.ledger_service import LedgerClient
from forgefield.platform.buying.purchasing import longest_seconds
from forgefield.platform.buying.slots import NUMBERS, Slot
from forgefield.platform.buying.workers import LabelJobs, LabelWorker
from forgefield.platform.planning.recipe import LabelSettings
from forgefield.storage.errors import (
    WaveOfFailures,
)
from forgefield.storage.ledger import Ledger
from forgefield.storage.ledger.entries import EntryKind, FailureRow, JobState, State
from forgefield.storage.records import Configuration, Job, Method, Molecule, Purpose, Tier
from forgefield.storage.units import to_micro

N2, ETHANOL = find_molecule("N#N"), find_molecule("ethanol")
SMALL = "CCSD(T)/STO-3G, frozen core"
LARGE = "CCSD(T)/cc-pVDZ, frozen core"
GIGABYTE = 10**9


class RealSlot(Slot):
    """A campaign's workers, without a placement group."""

    def _start(self, tier: Tier) -> Any:
        make = ray.remote(LabelWorker).options(num_cpus=0)
        return make.remote(self.work[tier], self.ledger.service)


class Shop:
    """A run folder with its ledger service; each dispatcher is the driver's next start."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.slots = folder, list[Slot]()
        (folder / "spool").mkdir()
        self.url = f"sqlite:///{folder}/ledger.sqlite"
        name = f"ledger of remedies {next(NUMBERS)}"
        self.ledger = LedgerClient(self.url, folder / "frames.zarr", folder / "spool", name)
        self.ledger.open()
        self.ledger.set_cap(to_micro(1000.0), "test")

    def start(
        self,
        molecule: Molecule,
        method: str,
        gigabytes: float,
        expected: float = 2.0,
        **settings: Any,
    ) -> Labelling:
        """A driver with one worker of one method, planned to take `expected` core-seconds."""
        memory_bytes = int(gigabytes * GIGABYTE)
        jobs = LabelJobs(method, molecule, 1, memory_bytes, self.folder / "spool")
        self.slots = [RealSlot(0, None, {Tier.CCSD: jobs}, self.ledger)]  # type: ignore[arg-type]
        made = LabelSettings(**{"grace_s": 0.0} | settings)
        dispatcher = Dispatcher(self.slots, self.ledger, made, lambda _: None)
        dispatcher.warm()
        longest = {Tier.CCSD: longest_seconds(expected, made)}
        return Labelling(dispatcher, self.ledger, None, longest=longest)  # type: ignore[arg-type]

    def close(self) -> None:
        """End the driver's workers."""
        for slot in self.slots:
            slot.kill(Tier.CCSD)
        self.slots = []

    def books(self, jobs: Sequence[Job]) -> tuple[list[JobState], tuple[FailureRow, ...]]:
        """States and failed attempts; every invariant holds, and each failure is charged once."""
        with Ledger(self.url, read_only=True) as ledger:
            assert ledger.verify(self.folder / "frames.zarr") == []
            states, failures = ledger.job_states([j.key() for j in jobs]), ledger.failures()
            balance, entries = ledger.balance(), ledger.entries()
        paid = {kind: sum(e.amount_micro for e in entries if e.kind is kind) for kind in EntryKind}
        assert paid[EntryKind.FAILED] == sum(row.used_micro for row in failures)
        assert balance.spent_micro == paid[EntryKind.FAILED] + paid[EntryKind.LABEL]
        assert balance.reserved_micro == 0
        return [states[job.key()] for job in jobs], failures


@pytest.fixture(scope="module")
def _cluster() -> Iterator[None]:
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    ray.init(address="local", num_cpus=2, **quiet)
    yield
    ray.shutdown()


@pytest.fixture
def shop(_cluster: None, tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.close()
    made.ledger.stop()


def bonds(*distances: float) -> list[Job]:
    """Two atoms of nitrogen, so many Å apart."""
    apart = [Configuration("pair", (7, 7), np.array([[0, 0, 0], [0, 0, d]])) for d in distances]
    return [Job(shape, Method(Tier.CCSD, SMALL), Purpose.TRAIN) for shape in apart]


def ethanol() -> list[Job]:
    shape = Configuration("ethanol", ETHANOL.numbers, ETHANOL.positions_A3)
    return [Job(shape, Method(Tier.CCSD, LARGE), Purpose.TRAIN)]


def order(jobs: Sequence[Job], core_seconds: float) -> Order:
    return Order(deque(jobs), len(jobs), Tier.CCSD, core_seconds)


def test_hopeless_configurations_are_charged_and_never_tried_again(shop: Shop) -> None:
    jobs = bonds(0.3, 2.2, 1.1, 1.2)
    shop.start(N2, SMALL, 1).buy([order(jobs, 2.0)])
    states, failures = shop.books(jobs)
    assert [s.state for s in states] == [State.FAILED, State.FAILED, State.DONE, State.DONE]
    assert [(row.failure.kind, row.job_key) for row in failures] == [
        ("BadConfiguration", jobs[0].key()),
        ("NotConverged", jobs[1].key()),
    ]
    assert "0.300 Å apart" in failures[0].failure.message
    assert "CCSD did not converge" in failures[1].failure.message
    assert failures[0].used_micro < 100_000 < failures[1].used_micro
    shop.close()
    shop.start(N2, SMALL, 1).buy([order(jobs, 2.0)])
    assert shop.books(jobs)[1] == failures


def test_a_wave_of_real_failures_stops_with_the_reason(shop: Shop) -> None:
    jobs = bonds(0.1, 0.2, 0.3, 0.35, 1.1)
    with pytest.raises(WaveOfFailures, match=r"3 ccsd labels failed against 0 done.*Å apart"):
        shop.start(N2, SMALL, 1, wave=3).buy([order(jobs[:4], 2.0), order(jobs[4:], 2.0)])
    with Ledger(shop.url, read_only=True) as ledger:
        assert len(ledger.failures()) == 3


def test_too_little_memory_costs_next_to_nothing_and_a_larger_machine_does_it(shop: Shop) -> None:
    jobs = ethanol()
    shop.start(ETHANOL, LARGE, 0.6).buy([order(jobs, 10.0)])
    (state,), (failure,) = shop.books(jobs)
    assert (state.state, failure.failure.kind) == (State.FAILED, "NeedsLargerMachine")
    assert "may have 0.6 GB" in failure.failure.message
    assert failure.used_micro < 500_000
    shop.close()
    shop.start(ETHANOL, LARGE, 4).buy([order(jobs, 30.0)])
    (state,), failures = shop.books(jobs)
    assert (state.state, failures) == (State.DONE, (failure,))


def test_a_label_that_overruns_is_killed_and_charged_what_was_reserved(shop: Shop) -> None:
    jobs = ethanol()
    settings = {"limit_factor": 1, "limit_extra_s": 0.5, "extensions": 1}
    shop.start(ETHANOL, LARGE, 4, 0.1, **settings).buy([order(jobs, 0.1)])
    (state,), (failure,) = shop.books(jobs)
    assert (state.state, state.attempts) == (State.FAILED, 1)
    assert failure.failure.kind == "NeedsLargerMachine"
    assert "core-seconds reserved for it" in failure.failure.message
    assert failure.used_micro == 1_200_000, "twice 0.1 + 0.5 core-seconds"
    shop.close()
    shop.start(ETHANOL, LARGE, 4, 0.1, **settings).buy([order(jobs, 0.1)])
    assert shop.books(jobs) == ([state], (failure,)), "no time but what it had in vain"
    shop.close()
    longer = {**settings, "limit_extra_s": 60.0}
    shop.start(ETHANOL, LARGE, 4, 0.1, **longer).buy([order(jobs, 0.1)])
    (state,), failures = shop.books(jobs)
    assert (state.state, failures) == (State.DONE, (failure,))


def test_a_worker_killed_in_a_label_is_charged_and_the_label_made_again(shop: Shop) -> None:
    jobs = ethanol()
    started = shop.start(ETHANOL, LARGE, 4)
    worker: Any = shop.slots[0].workers[Tier.CCSD]
    process = ray.get(worker.__ray_call__.remote(lambda _: os.getpid()))
    beats = shop.folder / "spool"

    def kill() -> None:
        while not list(beats.glob("*.beat")):
            time.sleep(0.02)
        time.sleep(1.5)
        os.kill(process, signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    started.buy([order(jobs, 30.0)])
    killer.join()
    (state,), (failure,) = shop.books(jobs)
    assert (state.state, state.attempts) == (State.DONE, 2)
    assert failure.failure.kind == "TransientFailure"
    assert 500_000 < failure.used_micro < 4_000_000
