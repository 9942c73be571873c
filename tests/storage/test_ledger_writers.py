"""Several processes at one ledger, and a clock that jumps."""

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from forgefield.storage.frame_store import FrameStore
from forgefield.storage.ledger import Ledger
from forgefield.storage.ledger.packing import pack
from forgefield.storage.records import Failure
from forgefield.storage.testing import labelled, make_job

BUYER = """
import sys
from forgefield.storage.errors import AlreadyBought, BudgetExhausted
from forgefield.storage.ledger import Ledger
from forgefield.storage.testing import labelled, make_job

bought = 0
with Ledger(sys.argv[1]) as ledger:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(int(sys.argv[2]), 60, 1):
        try:
            reservation = ledger.reserve([make_job(number)], 5)
        except (AlreadyBought, BudgetExhausted):
            continue
        ledger.extend(reservation, 0)
        bought += ledger.settle(reservation, [labelled(make_job(number))], 4)
print(bought)
"""
CAP = 100


def test_processes_at_once_never_pass_the_cap(ledger: Ledger, ledger_url: str) -> None:
    ledger.set_cap(CAP, "tight")
    command = [sys.executable, "-c", BUYER, ledger_url]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    buyers = [subprocess.Popen([*command, str(first)], **pipes) for first in (0, 20)]  # type: ignore[call-overload]  # noqa: S603
    for buyer in buyers:
        assert buyer.stdout.readline() == "ready\n"
    for buyer in buyers:
        buyer.stdin.write("go\n")
        buyer.stdin.flush()
    bought = [int(buyer.communicate(timeout=120)[0]) for buyer in buyers]
    assert [buyer.returncode for buyer in buyers] == [0, 0]
    now = ledger.balance()
    assert (now.spent_micro, now.reserved_micro) == (4 * sum(bought), 0)
    assert CAP - 5 < now.spent_micro <= CAP
    assert len(ledger.inbox()) == sum(bought)
    assert max(Counter(frame.job.key() for frame in ledger.inbox()).values()) == 1
    assert ledger.verify() == []


def test_a_clock_that_jumps_changes_no_order(
    ledger: Ledger, store: FrameStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    times = iter([1e9, 9e8, 2e9, -5.0, 0.0, 3e9] * 100)
    monkeypatch.setattr(time, "time", lambda: next(times))
    for number in range(4):
        job = make_job(number)
        reservation = ledger.reserve([job], 10)
        ledger.extend(reservation, 5)
        ledger.settle(reservation, [labelled(job)], 7)
    ledger.withdraw([make_job(1).key()], "wrong")
    ledger.fail(ledger.reserve([make_job(1)], 10), Failure("NotConverged", ""), 3)
    pack(ledger, store)
    lines = ledger.entries()
    assert [line.id for line in lines] == sorted(line.id for line in lines)
    assert [line.at for line in lines] != sorted(line.at for line in lines)
    assert [frame.seq for frame in ledger.withdrawals()] == [5]
    assert ledger.balance().spent_micro == 4 * 7 + 3
    assert ledger.verify(store.path) == []
    assert (tmp_path / "frames.zarr").exists()
