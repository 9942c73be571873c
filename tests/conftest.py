"""What tests of every room share: where the sources are, and a PostgreSQL server."""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres import PostgresServer, running_server, why_not

ROOMS = ("storage", "labelers", "trainers", "platform")
SKIPPED = "NOT TESTED on PostgreSQL: "


@pytest.fixture(autouse=True, scope="session")
def cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test reads or writes what this user's labels have cost; child processes neither."""
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout that holds these tests."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def room_folders(repository: Path) -> list[tuple[str, Path]]:
    """(room, folder) of the checkout's rooms and of the installed ones where these differ."""
    found = {(room, repository / room) for room in ROOMS if (repository / room).is_dir()}
    for room in ROOMS:
        spec = importlib.util.find_spec(f"forgefield.{room}")
        locations = (spec and spec.submodule_search_locations) or ()
        found |= {(room, Path(location).resolve()) for location in locations}
    return sorted(found)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real PostgreSQL server; who uses it is skipped, loudly, where none is installed."""
    missing = why_not()
    if missing:
        pytest.skip(SKIPPED + missing)
    with running_server() as server:
        yield server


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests never saw PostgreSQL."""
    skipped = [
        report
        for report in terminalreporter.stats.get("skipped", [])
        if SKIPPED in str(report.longrepr)
    ]
    if skipped:
        terminalreporter.section("PostgreSQL", yellow=True)
        terminalreporter.line(f"{len(skipped)} tests were skipped. {SKIPPED}{why_not()}")
