"""kill -9 at every point between two steps, and at any time: nothing lost, nothing paid twice.

`make crash` kills KILLS times (500 unless told otherwise) and writes RESULTS.md; the tests that
always run kill some dozens of times, at points chosen by chance.
"""

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from crash.aftermath import check
from crash.rage import rage
from crash.results import KILLS, note
from crash.steps import REQUIRED
from crash.storm import SERVER, Storm, storm_over
from postgres import PostgresServer

ON_SQLITE, ON_SERVER, OF_SERVER = KILLS * 7 // 10, KILLS * 3 // 25, KILLS * 2 // 25
FULL = pytest.mark.crash_matrix


@pytest.fixture
def server(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """The session's server, alive before and after."""
    revived(postgres_server)
    yield postgres_server
    revived(postgres_server)


def revived(server: PostgresServer) -> str:
    """Start a server that is dead; its process's number."""
    if server._process is None or server._process.poll() is not None:
        server.restart()
    assert server._process is not None
    return str(server._process.pid)


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


def test_a_process_that_writes_is_killed(tmp_path: Path) -> None:
    few = ("write_spool: after", "reserve: after")
    storm, _ = storms(tmp_path, sqlite, lambda storm: rage(storm, 20, sqlite, set_ups=few))
    assert storm.killed.total() >= 20


def test_a_database_server_is_killed(tmp_path: Path, server: PostgresServer) -> None:
    storm, _ = storms(
        tmp_path,
        lambda _: server.new_database(),
        lambda storm: rage(
            storm, 3, lambda _: server.new_database(), lambda: revived(server), set_ups=()
        ),
    )
    assert storm.deaths(SERVER) >= 3


@FULL
def test_the_process_that_writes_is_killed_everywhere(tmp_path: Path) -> None:
    random.seed(KILLS)
    start = time.monotonic()
    storm, labels = storms(
        tmp_path, sqlite, lambda storm: rage(storm, ON_SQLITE, sqlite, every=True)
    )
    assert set(REQUIRED) <= storm.killed.keys(), set(REQUIRED) - storm.killed.keys()
    assert storm.missed.total() < storm.killed.total() / 20, +storm.missed
    note("writer on SQLite", storm, labels, time.monotonic() - start)


@FULL
@pytest.mark.parametrize("kills", [ON_SERVER])
def test_the_process_that_writes_to_a_server_is_killed(
    tmp_path: Path, server: PostgresServer, kills: int
) -> None:
    random.seed(kills)
    start = time.monotonic()

    def another(_folder: Path) -> str:
        return server.new_database()

    storm, labels = storms(tmp_path, another, lambda storm: rage(storm, kills, another))
    assert storm.killed.total() >= kills
    note("writer on PostgreSQL", storm, labels, time.monotonic() - start)


@FULL
@pytest.mark.parametrize("kills", [OF_SERVER])
def test_the_database_server_is_killed(tmp_path: Path, server: PostgresServer, kills: int) -> None:
    random.seed(kills)
    start = time.monotonic()

    def another(_folder: Path) -> str:
        return server.new_database()

    storm, labels = storms(
        tmp_path, another, lambda storm: rage(storm, kills, another, lambda: revived(server))
    )
    assert storm.deaths(SERVER) >= kills
    note("writer beside that server", storm, labels, time.monotonic() - start)
