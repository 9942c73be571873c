"""A real labelling run under Ray whose workers, ledger service, driver and Ray itself are killed.

MMFF94 labels through the dispatcher, the ledger service, the spool and the frame store; after each
kill the ledger is verified against the store, and whatever ended is started again.
"""

# ruff: noqa: S311 - dice choose the moments

import random
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from crash.ray_driver import CAP, jobs_of
from crash.ray_points import DRIVER_POINTS, SERVICE_POINTS, WORKER_POINTS
from crash.ray_storm import DRIVER, RAY, SERVICE, WORKER, RayStorm
from crash.results import KILLS, note
from sqlalchemy import NullPool, create_engine, text

from forgefield.labelers.molecules import find_molecule
from forgefield.labelers.registry import labeler_for
from forgefield.storage.frame_store import load_frames
from forgefield.storage.ledger import Ledger
from forgefield.storage.ledger.entries import State

TIMES = max(1, KILLS // 100)
FULL = pytest.mark.crash_matrix
SHORT = {
    WORKER: ("label > write_spool: after",),
    SERVICE: ("call > settle > commit: after",),
    DRIVER: ("start > reserve: after",),
}
ALL = {WORKER: WORKER_POINTS, SERVICE: SERVICE_POINTS, DRIVER: DRIVER_POINTS}


@pytest.fixture
def storm(tmp_path: Path) -> Iterator[RayStorm]:
    made = RayStorm(tmp_path)
    yield made
    made.stop()


def rage(storm: RayStorm, points: dict[str, tuple[str, ...]], at_random: int, heads: int) -> None:
    """Kill at each point, each kind at random times, and all of Ray."""
    kinds = {WORKER: storm.workers, SERVICE: storm.service, DRIVER: storm.driver}
    plan = [lambda n=n: storm.kill_at(n, nth(n)) for ns in points.values() for n in ns]
    for name, victims in kinds.items():
        plan += [lambda v=victims, n=name: storm.kill_at_random(v, n)] * at_random
    plan += [lambda: storm.kill_at_random(storm.ray, RAY)] * heads
    random.shuffle(plan)
    for kill in plan:
        kill()
    assert storm.missed.total() <= len(plan) // 10, storm.missed


def nth(name: str) -> int:
    """A process opens, loads and packs once or twice in its life; the rest it does often."""
    return 1 if name.startswith(("open", "load", "pack")) else random.randint(1, 3)


@pytest.mark.parametrize(
    ("points", "at_random", "heads"),
    [(SHORT, 0, 1), pytest.param(ALL, TIMES, TIMES, marks=FULL)],
    ids=["short", "full"],
)
@pytest.mark.timeout(7200)
def test_whatever_dies_is_bought_once(
    storm: RayStorm, points: dict[str, tuple[str, ...]], at_random: int, heads: int
) -> None:
    random.seed(at_random)
    start = time.monotonic()
    rage(storm, points, at_random, heads)
    storm.finish()
    storm.verify()
    assert_books(storm)
    assert_bytes(storm)
    assert list((storm.folder / "spool").iterdir()) == []
    assert {name.rpartition(", ")[0] for name in storm.killed} == {*ALL, RAY}
    if points is ALL:
        note(RAY, storm, storm.jobs, time.monotonic() - start)


def assert_books(storm: RayStorm) -> None:
    """Every job is done, nothing is open, and spend is the sum of the attempts, below the cap."""
    url = f"sqlite:///{storm.folder}/ledger.sqlite"
    with (
        Ledger(url, read_only=True) as ledger,
        create_engine(url, poolclass=NullPool).connect() as connection,
    ):
        keys = [job.key() for job in jobs_of(find_molecule("methanol"), storm.jobs)]
        states = ledger.job_states(keys)
        assert {states[key].state for key in keys} == {State.DONE}
        assert ledger.open_reservations() == ledger.inbox() == ()
        balance = ledger.balance()
        spent = connection.execute(text("SELECT SUM(used_micro) FROM attempt")).scalar_one()
    assert balance.reserved_micro == 0
    assert balance.spent_micro == int(spent) <= CAP


def assert_bytes(storm: RayStorm) -> None:
    """Every frame is there once, with the very bytes that labelling it here gives."""
    molecule = find_molecule("methanol")
    labeler = labeler_for("MMFF94")
    labeler.prepare(molecule)
    frames = load_frames(storm.folder / "frames.zarr")
    rows = {key.tobytes().hex(): row for row, key in enumerate(frames.key_F)}
    jobs = jobs_of(molecule, storm.jobs)
    assert len(rows) == len(frames) == len(jobs)
    for job in jobs:
        row = rows[job.key()]
        atoms = slice(frames.ptr[row], frames.ptr[row + 1])
        calm = labeler.label(job.configuration, 1)
        assert np.array_equal(frames.positions_A3[atoms], job.configuration.positions_A3)
        assert frames.energy_F[row] == calm.energy
        assert np.array_equal(frames.forces_A3[atoms], calm.forces_A3)
