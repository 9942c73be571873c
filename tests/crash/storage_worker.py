"""A driver that labels until it is killed: `python storage_worker.py FOLDER`.

It says each settlement on stdout after it was acknowledged: `settled RESERVATION USED JOB JOB …`.
"""

# ruff: noqa: S311, T201 - dice choose what to do, the test reads stdout

import random
import sys
from pathlib import Path

from forgefield.storage.frame_store import FrameStore
from forgefield.storage.ledger import Ledger, State
from forgefield.storage.ledger.packing import pack
from forgefield.storage.ledger.recovery import recover
from forgefield.storage.ledger.spool import Heartbeat, remove_spool, write_spool
from forgefield.storage.run_lock import RunLock
from forgefield.storage.testing import failed, labelled, make_job

CAP = 10**12
AMOUNT = 5000


def work(folder: Path) -> None:
    """Recover, then reserve, spool, settle and pack without end."""
    with RunLock(folder), Ledger(f"sqlite:///{folder}/ledger.sqlite") as ledger:
        if not ledger.balance().cap_micro:
            ledger.set_cap(CAP, "start")
        with FrameStore.open_for_writing(folder / "frames.zarr") as store:
            recover(ledger, store, folder / "spool")
            complaints = ledger.verify(store.path)
            print("ready", *complaints, flush=True)
            while True:
                buy(ledger, folder / "spool")
                if random.random() < 0.3:
                    pack(ledger, store)


def buy(ledger: Ledger, spool: Path) -> None:
    """One reservation of one to four jobs, one in ten of which fails."""
    numbers = next_numbers(ledger, random.randint(1, 4))
    jobs = [make_job(number) for number in numbers]
    reservation = ledger.reserve(jobs, AMOUNT)
    with Heartbeat(spool, reservation, cores=2, every_s=0.01):
        outcomes = [failed(j) if random.random() < 0.1 else labelled(j) for j in jobs]
    used = 100 * len(jobs) + reservation % 7
    write_spool(spool, reservation, outcomes, used)
    assert ledger.settle(reservation, outcomes, used)
    print("settled", reservation, used, *(job.key() for job in jobs), flush=True)
    remove_spool(spool, reservation)


def next_numbers(ledger: Ledger, count: int) -> list[int]:
    """Failed jobs first, then new ones."""
    numbers: list[int] = []
    start = sum(row.done + row.failed + row.in_flight for row in ledger.tally())
    retry = {job.key() for job in ledger.jobs(State.FAILED)[:2]}
    numbers = [n for n in range(start) if make_job(n).key() in retry] if retry else []
    return (numbers + list(range(start, start + count)))[:count]


if __name__ == "__main__":
    work(Path(sys.argv[1]))
