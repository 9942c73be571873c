"""kill -9 at random moments: nothing acknowledged is lost, nothing is paid twice."""

# ruff: noqa: S311, S603 - dice choose the moments, the program is our own

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from forgefield.storage.frame_store import FrameStore, load_frames
from forgefield.storage.ledger import Ledger
from forgefield.storage.ledger.recovery import recover
from forgefield.storage.records import Purpose
from forgefield.storage.testing import expected_energy, make_job

WORKER = Path(__file__).with_name("storage_worker.py")
CAP = 10**12


def run_and_kill(folder: Path, after_lines: int, then_s: float) -> list[str]:
    """Start the worker, SIGKILL it; every whole line it had said."""
    with subprocess.Popen(
        [sys.executable, str(WORKER), str(folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(after_lines)]
        try:
            process.wait(then_s)
        except subprocess.TimeoutExpired:
            process.kill()
        lines += process.stdout.readlines()
    assert process.returncode == -9, f"the worker ended by itself: {lines}"
    return [line.strip() for line in lines if line.endswith("\n")]


def storm(folder: Path, kills: int) -> dict[int, list[str]]:
    """Kill `kills` times; (reservation → used and job keys) of what was acknowledged."""
    acknowledged: dict[int, list[str]] = {}
    dice = random.Random(kills)
    for _ in range(kills):
        for line in run_and_kill(folder, dice.choice([0, 1, 2, 5, 9]), dice.uniform(0, 0.6)):
            word, *rest = line.split(maxsplit=1)
            if word == "ready":
                assert not rest, f"broken after a kill: {rest}"
            else:
                reservation, *booked = rest[0].split()
                assert int(reservation) not in acknowledged
                acknowledged[int(reservation)] = booked
    return acknowledged


def check(folder: Path, acknowledged: dict[int, list[str]]) -> None:
    """Recover once more, then compare ledger, store and what the workers said."""
    with (
        Ledger(f"sqlite:///{folder}/ledger.sqlite") as ledger,
        FrameStore.open_for_writing(folder / "frames.zarr") as store,
    ):
        recover(ledger, store, folder / "spool")
        assert ledger.verify(store.path) == []
        assert ledger.balance().reserved_micro == 0
        charged: Counter[int | None] = Counter()
        for entry in ledger.entries():
            if entry.kind in {"label", "failed"}:
                charged[entry.reservation] += entry.amount_micro
        assert ledger.balance().spent_micro == charged.total()
        assert {n: charged[n] for n in acknowledged} == {
            n: int(booked[0]) for n, booked in acknowledged.items()
        }
        frames = load_frames(store.path, tuple(Purpose))
        failures = {(row.reservation, row.job_key) for row in ledger.failures()}
    found = Counter(key.tobytes().hex() for key in frames.key_F)
    assert max(found.values()) == 1
    for reservation, (_, *keys) in acknowledged.items():
        assert all(found[key] == 1 or (reservation, key) in failures for key in keys)
    assert_numbers(frames.positions_A3, frames.forces_A3, frames.ptr, frames.energy_F, found)


def assert_numbers(
    positions: np.ndarray, forces: np.ndarray, ptr: np.ndarray, energy: np.ndarray, found: Counter
) -> None:
    """Every frame holds the very numbers of its job."""
    jobs = {make_job(n).key(): make_job(n) for n in range(2 * len(found) + 100)}
    for place, key in enumerate(found):
        atoms = slice(ptr[place], ptr[place + 1])
        expected = jobs[key].configuration.positions_A3
        assert np.array_equal(positions[atoms], expected)
        assert np.array_equal(forces[atoms], np.sin(expected))
        assert energy[place] == expected_energy(expected)


@pytest.mark.parametrize("kills", [15, pytest.param(150, marks=pytest.mark.slow)])
@pytest.mark.timeout(1800)
def test_no_kill_loses_or_doubles_a_label(tmp_path: Path, kills: int) -> None:
    acknowledged = storm(tmp_path, kills)
    assert len(acknowledged) > kills
    check(tmp_path, acknowledged)
