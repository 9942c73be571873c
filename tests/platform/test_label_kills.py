"""`platform label` as a process, killed: nothing is lost but what was in flight, or made twice."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import psutil
import pytest
from ase.build import molecule

from forgefield.storage.ledger.spool import read_spools

FRAMES, BROKEN = 7, 3
COMMAND = [sys.executable, "-c", "from forgefield.platform.cli import main; main()", "label"]
METHOD = "PBE/def2-SVP"


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Methanol six times, and two hydrogen atoms on one another."""
    noise, made = np.random.default_rng(7), []
    for _ in range(FRAMES):
        atoms = molecule("CH3OH")
        atoms.positions += noise.normal(0, 0.03, atoms.positions.shape)
        made.append(atoms)
    made[BROKEN].positions[2] = made[BROKEN].positions[3]
    ase.io.write(tmp_path / "frames.xyz", made, format="extxyz")
    return tmp_path / "frames.xyz"


def started(frames: Path, out: str) -> "subprocess.Popen[str]":
    arguments = [str(frames), "-M", METHOD, "-o", str(frames.with_name(out)), "--json"]
    return subprocess.Popen(  # noqa: S603
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def finished(frames: Path, out: str) -> dict[str, Any]:
    process = started(frames, out)
    said, _ = process.communicate(timeout=900)
    assert process.returncode == 7, said
    answer: dict[str, Any] = json.loads(said)
    return answer


def until(condition: Callable[[], object], seconds: float = 200) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"nothing happened within {seconds} s"
        time.sleep(0.05)


def workers_of(driver: psutil.Process) -> list[psutil.Process]:
    """Processes of the actors that label."""
    found = []
    for child in driver.children(recursive=True):
        try:
            if "FileLabelWorker" in " ".join(child.cmdline()):
                found.append(child)
        except psutil.Error:
            continue
    return found


def labels_in(folder: Path) -> Counter[str]:
    """How often each job's outcome lies in a folder of labels."""
    return Counter(o.job.key() for s in read_spools(folder / "labels") for o in s.outcomes)


def test_killed_worker_and_driver_cost_only_what_was_in_flight(frames: Path) -> None:
    folder, process = frames.with_name("killed.xyz.partial"), started(frames, "killed.xyz")
    driver = psutil.Process(process.pid)
    until(lambda: labels_in(folder))
    workers_of(driver)[0].kill()
    before = len(labels_in(folder))
    until(lambda: len(labels_in(folder)) > before)
    family = [driver, *driver.children(recursive=True)]
    driver.kill()
    process.communicate()
    psutil.wait_procs(family, timeout=240)
    kept = labels_in(folder)
    walls = {o.job.key(): o.result.provenance.wall_s  # type: ignore[union-attr]
             for s in read_spools(folder / "labels") for o in s.outcomes}  # fmt: skip
    assert set(kept.values()) == {1}
    assert not frames.with_name("killed.xyz").exists()

    answer = finished(frames, "killed.xyz")
    assert (answer["reused"], answer["computed"]) == (len(kept), FRAMES - 1 - len(kept))
    assert [failure["frame"] for failure in answer["failures"]] == [BROKEN]
    made = labels_in(folder)
    assert (len(made), set(made.values())) == (FRAMES - 1, {1})

    whole = finished(frames, "whole.xyz")
    assert (whole["reused"], whole["computed"]) == (0, FRAMES - 1)
    killed_frames, whole_frames = (
        ase.io.read(frames.with_name(name), ":") for name in ("killed.xyz", "whole.xyz")
    )
    assert [a.info["frame"] for a in killed_frames] == [0, 1, 2, 4, 5, 6]
    for ours, theirs in zip(killed_frames, whole_frames, strict=True):
        assert ours.info["job"] == theirs.info["job"]
        assert ours.info["wall_s"] == walls.get(ours.info["job"], ours.info["wall_s"])
        assert ours.get_potential_energy() == pytest.approx(theirs.get_potential_energy(), abs=1e-5)
        assert np.abs(ours.get_forces() - theirs.get_forces()).max() < 1e-4
