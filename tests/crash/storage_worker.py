"""A driver of ledger and frame store alone, in one process, which labels until it is killed.

It says each settlement after it was acknowledged: `settled RESERVATION USED JOB JOB …`. What it
buys follows from the numbers of the jobs, so that frames can be compared with those of a run that
nobody killed. The program forks one worker a line on its stdin, so that libraries load once:
`{"folder": …, "url": …, "seconds": …}` in, `{"code": …, "said": […]}` out.
"""

# ruff: noqa: S311, T201 - dice choose what to do, the tests read stdout

import json
import os
import random
import select
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from crash.points import arm, census

from forgefield.storage.errors import StorageError
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


def work(folder: Path, url: str, upto: int | None, batch: int) -> None:
    """Recover and verify, then label without end, or until `upto` jobs and all failed are done."""
    with RunLock(folder), Ledger(url) as ledger:
        if not ledger.balance().cap_micro:
            ledger.set_cap(CAP, "start")
        frames = folder / "frames.zarr"
        made = (frames / "zarr.json").exists()
        print("found", *ledger.verify(frames if made else None), flush=True)
        with FrameStore.open_for_writing(frames) as store:
            recover(ledger, store, folder / "spool")
            print("ready", *ledger.verify(frames), flush=True)
            label(ledger, store, folder / "spool", upto, batch)


def label(ledger: Ledger, store: FrameStore, spool: Path, upto: int | None, batch: int) -> None:
    """Reserve, spool, settle, pack, withdraw and add a column, again and again."""
    while jobs := next_jobs(ledger, random.randint(1, batch), upto):
        buy(ledger, spool, jobs)
        if random.random() < 0.4:
            pack(ledger, store)
        if upto is None and random.random() < 0.2:
            take_back(ledger)
            adopt(ledger)
        if random.random() < 0.2:
            add_column(store)
    pack(ledger, store)
    add_column(store)


def next_jobs(ledger: Ledger, count: int, upto: int | None) -> list[Job]:
    """Jobs that failed or wait first, then new ones."""
    waiting = ledger.jobs(State.WAITING)
    again = [*ledger.jobs(State.FAILED), *waiting][:count]
    known = sum(row.done + row.failed + row.in_flight for row in ledger.tally()) + len(waiting)
    end = known + count if upto is None else min(upto, known + count)
    return again + [toy_job(number) for number in range(known, end)]


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


def forked(order: dict[str, Any]) -> dict[str, Any]:
    """One worker's life: its exit code, negative for a signal, and all whole lines it said."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.dup2(writer, sys.stdout.fileno())
        _child(order)
    os.close(writer)
    said = _read_until(reader, time.monotonic() + order["seconds"], child)
    _, status = os.waitpid(child, 0)
    return {"code": os.waitstatus_to_exitcode(status), "said": said}


def _child(order: dict[str, Any]) -> None:
    code = 1
    try:
        folder = Path(order["folder"])
        arm(folder / "fuse")
        work(folder, order["url"], order["upto"], order["batch"])
        code = 0
    except StorageError as error:
        print("refused", error, flush=True)
        code = StorageError.exit_code
    except BaseException:  # noqa: BLE001 - a fork must not return into its parent's code
        print("broken", traceback.format_exc().replace("\n", "⏎"), flush=True)
    for name in census if order["census"] else ():
        print("point", name, flush=True)
    os._exit(code)


def _read_until(reader: int, end: float, child: int) -> list[str]:
    said, killed = b"", False
    while True:
        ready, _, _ = select.select([reader], [], [], max(0.0, end - time.monotonic()))
        if not ready and not killed:
            os.kill(child, signal.SIGKILL)
            killed, end = True, end + 60
        elif not (more := os.read(reader, 1 << 16)):
            os.close(reader)
            return said.decode().split("\n")[:-1]
        else:
            said += more


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(forked(json.loads(line))), flush=True)
