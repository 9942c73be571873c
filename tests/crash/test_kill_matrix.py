"""kill -9 at every point between two steps, and at any time: nothing lost, nothing paid twice.

`make crash` kills KILLS times (500 unless told otherwise) and writes RESULTS.md; the tests that
always run kill some dozens of times, at points chosen by chance.
"""

import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crash.aftermath import check
from crash.results import Row, note
from crash.storm import Storm, rage, storm_over

KILLS = int(os.environ.get("KILLS", "500"))
ON_SQLITE, ON_SERVER, OF_SERVER = KILLS * 7 // 10, KILLS * 3 // 20, KILLS // 10
FULL = pytest.mark.crash_matrix


def sqlite(folder: Path) -> str:
    return f"sqlite:///{folder}/ledger.sqlite"


def storms(
    tmp_path: Path, another: Callable[[Path], str], rage_over: Callable[[Storm], None]
) -> tuple[Storm, int]:
    """Rage over a run, then compare it with a calm one; the storm and its labels."""
    folder, calm_folder = tmp_path / "storm", tmp_path / "calm"
    folder.mkdir()
    calm_folder.mkdir()
    with storm_over(folder, another(folder)) as storm:
        rage_over(storm)
        with storm_over(calm_folder, another(calm_folder)) as calm:
            return storm, check(storm, calm)


@pytest.mark.parametrize("kills", [20, pytest.param(ON_SQLITE, marks=FULL)])
@pytest.mark.timeout(7200)
def test_the_process_that_writes_is_killed(tmp_path: Path, kills: int) -> None:
    random.seed(kills)
    start = time.monotonic()
    storm, labels = storms(tmp_path, sqlite, lambda storm: rage(storm, kills, sqlite))
    assert storm.killed.total() >= kills
    if kills == ON_SQLITE:
        assert storm.missed.total() < kills / 4, storm.missed
        note(Row.of("writer on SQLite", storm, labels, time.monotonic() - start))


@pytest.mark.parametrize("kills", [4, pytest.param(OF_SERVER, marks=FULL)])
@pytest.mark.timeout(7200)
def test_the_database_server_is_killed(tmp_path: Path, postgres_server: Any, kills: int) -> None:
    random.seed(kills)
    start = time.monotonic()

    def another(_folder: Path) -> str:
        return postgres_server.new_database()

    def revived() -> str:
        if postgres_server._process.poll() is not None:
            postgres_server.restart()
        return str(postgres_server._process.pid)

    storm, labels = storms(tmp_path, another, lambda storm: rage(storm, kills, another, revived))
    assert storm.killed.total() >= kills
    if kills == OF_SERVER:
        note(Row.of("PostgreSQL server (and writer)", storm, labels, time.monotonic() - start))


@pytest.mark.parametrize("kills", [pytest.param(ON_SERVER, marks=FULL)])
@pytest.mark.timeout(7200)
def test_the_process_that_writes_to_a_server_is_killed(
    tmp_path: Path, postgres_server: Any, kills: int
) -> None:
    random.seed(kills)
    start = time.monotonic()

    def another(_folder: Path) -> str:
        return postgres_server.new_database()

    storm, labels = storms(tmp_path, another, lambda storm: rage(storm, kills, another))
    assert storm.killed.total() >= kills
    note(Row.of("writer on PostgreSQL", storm, labels, time.monotonic() - start))
