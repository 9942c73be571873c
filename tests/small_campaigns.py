"""The program as a user starts it, a campaign of a minute, and where it stands."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from forgefield.platform.run_folder import RunFolder
from forgefield.storage.ledger import Ledger
from forgefield.storage.records import Tier

PROGRAM = str(Path(sys.executable).with_name("platform"))
RECIPE = str(Path(__file__).parent / "flows" / "small.toml")
ASK = ["--molecule", "formaldehyde", "--budget", "200ccsd", "--recipe", RECIPE]


def platform(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [PROGRAM, *words], cwd=cwd, capture_output=True, text=True, timeout=900, check=False
    )


def start(*words: str, cwd: Path, **how: Any) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([PROGRAM, *words], cwd=cwd, **pipes, **how)  # noqa: S603


def wait_until(condition: Callable[[], bool], seconds: float = 900) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.1)
    pytest.fail(f"nothing happened within {seconds} s")


def settled(folder: RunFolder) -> int:
    if not folder.ledger.exists():
        return 0
    with Ledger(folder.ledger_url, read_only=True) as ledger:
        return sum(row.done for row in ledger.tally())


def is_buying(folder: RunFolder, tier: Tier) -> bool:
    """Whether labels of this tier are in flight and the calibration is over."""
    if not has_begun(folder, "labelling began"):
        return False
    with Ledger(folder.ledger_url, read_only=True) as ledger:
        return any(row.in_flight for row in ledger.tally() if row.tier is tier)


def has_begun(folder: RunFolder, event: str) -> bool:
    return any(line["event"] == event for line in folder.events())


def audit(folder: RunFolder) -> None:
    """Every invariant of the money holds, and the store holds each settled label once."""
    with Ledger(folder.ledger_url, read_only=True) as ledger:
        assert ledger.verify(folder.frames) == []
        balance = ledger.balance()
    assert balance.spent_micro + balance.reserved_micro <= balance.cap_micro
