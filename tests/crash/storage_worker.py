"""A driver of ledger and frame store alone, in one process, which labels until it is killed.

It says each settlement after it was acknowledged: `settled RESERVATION USED JOB JOB …`. What it
buys follows from the numbers of the jobs, so that frames can be compared with those of a run that
nobody killed. `forks` starts it.
"""

# ruff: noqa: S311, T201 - dice choose what to do, the tests read stdout

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count, pairwise
from pathlib import Path

import numpy as np

from forgefield.storage.frame_store import FrameStore
from forgefield.storage.ledger import Ledger, State
from forgefield.storage.ledger.packing import pack
from forgefield.storage.ledger.recovery import recover
from forgefield.storage.ledger.spool import Heartbeat, remove_spool, write_spool
from forgefield.storage.records import Job, Label, Outcome, Purpose
from forgefield.storage.run_lock import RunLock
from forgefield.storage.testing import failed, labelled, make_job

CAP = 10**12
AMOUNT = 5000
COLUMN = "sum_of_positions"


@dataclass(frozen=True, slots=True)
class Plan:
    """Label without end, or until `upto` jobs and all failed are done, `batch` at most at a time.

    With `tour`, 20 more are labelled, and every kind of step is taken.
    """

    upto: int | None
    batch: int
    tour: bool

    def happens(self, probability: float) -> bool:
        """Whether what isn't done each time is done this time."""
        return self.tour or random.random() < probability

    def alters(self, turn: int) -> bool:
        """Whether labels are withdrawn and adopted; a plan that ends does so once at most."""
        return turn == 1 if self.tour else self.upto is None and random.random() < 0.2


def work(folder: Path, url: str, plan: Plan) -> None:
    """Recover and verify, then label."""
    with RunLock(folder), Ledger(url) as ledger:
        if not ledger.balance().cap_micro:
            ledger.set_cap(CAP, "start")
        frames = folder / "frames.zarr"
        made = (frames / "zarr.json").exists()
        print("found", *ledger.verify(frames if made else None), flush=True)
        with FrameStore.open_for_writing(frames) as store:
            recover(ledger, store, folder / "spool")
            print("ready", *ledger.verify(frames), flush=True)
            plan = replace(plan, upto=known_jobs(ledger) + 20) if plan.tour else plan
            label(ledger, store, folder / "spool", plan)


def label(ledger: Ledger, store: FrameStore, spool: Path, plan: Plan) -> None:
    """Reserve, spool, settle, pack, withdraw, adopt and add a column, again and again."""
    for turn in count():
        jobs = next_jobs(ledger, random.randint(1, plan.batch), plan.upto)
        if not jobs:
            break
        buy(ledger, spool, jobs)
        if plan.happens(0.4):
            pack(ledger, store)
        if plan.alters(turn):
            take_back(ledger)
            adopt(ledger)
        if plan.happens(0.2):
            add_column(store)
    pack(ledger, store)
    add_column(store)


def next_jobs(ledger: Ledger, count: int, upto: int | None) -> list[Job]:
    """Jobs that failed or wait first, then new ones."""
    again = [*ledger.jobs(State.FAILED), *ledger.jobs(State.WAITING)][:count]
    known = known_jobs(ledger)
    end = known + count if upto is None else min(upto, known + count)
    return again + [toy_job(number) for number in range(known, end)]


def known_jobs(ledger: Ledger) -> int:
    """How many jobs the ledger knows, which are the first ones."""
    waiting = len(ledger.jobs(State.WAITING))
    return sum(row.done + row.failed + row.in_flight for row in ledger.tally()) + waiting


def toy_job(number: int) -> Job:
    """Job `number`, for one of the four purposes in turn; every fifth is in a periodic box."""
    job = make_job(number, purpose=tuple(Purpose)[number % len(Purpose)])
    if number % 5:
        return job
    box = np.diag(10 + job.configuration.positions_A3[0])
    return replace(job, configuration=replace(job.configuration, cell_33=box))


def buy(ledger: Ledger, spool: Path, jobs: Sequence[Job]) -> None:
    """One reservation, as a label worker settles it."""
    tried = ledger.job_states([job.key() for job in jobs])
    reservation = ledger.reserve(jobs, AMOUNT)
    with Heartbeat(spool, reservation, cores=2, every_s=0.003):
        outcomes = [outcome_of(job, fresh=job.key() not in tried) for job in jobs]
    used = 100 * len(jobs) + reservation % 7
    write_spool(spool, reservation, outcomes, used)
    ledger.settle(reservation, outcomes, used)
    print("settled", reservation, used, *(job.key() for job in jobs), flush=True)
    remove_spool(spool, reservation)


def outcome_of(job: Job, *, fresh: bool) -> Outcome:
    """A label with forces or without, with stress; one job in ten fails when it is tried first."""
    dice, box = int(job.key(), 16), job.configuration.cell_33
    if fresh and dice % 10 == 3:
        return failed(job)
    outcome = labelled(job, energy_only=dice % 7 == 0)
    if box is None or not isinstance(outcome.result, Label):
        return outcome
    return replace(outcome, result=replace(outcome.result, stress_33=box / 1000))


def take_back(ledger: Ledger) -> None:
    """Withdraw a label that is done, so that it is bought again."""
    done = ledger.jobs(State.DONE)
    if done:
        ledger.withdraw([random.choice(done).key()], "test")


def adopt(ledger: Ledger) -> None:
    """Book a label that another run paid for."""
    job = next_jobs(ledger, 1, None)[-1]
    ledger.adopt([outcome_of(job, fresh=False)], "another run")


def add_column(store: FrameStore) -> None:
    """Add, or extend, a column that follows from the positions; withdrawals have none."""
    frames, _ = store.everything()
    rows = [frames.positions_A3[a:b] for a, b in pairwise(frames.ptr.tolist())]
    if rows:
        sums = np.array([each.sum() if len(each) else np.nan for each in rows])
        store.add_column(COLUMN, sums, "Å")
