"""Fixtures: an empty ledger on each kind of database, cap one core-second; an empty frame store."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres import PostgresServer

from forgefield.storage.frame_store import FrameStore
from forgefield.storage.ledger import Ledger

CAP = 1_000_000


@pytest.fixture(scope="session")
def shared_database(postgres_server: PostgresServer) -> str:
    """URL of a database for many ledgers, each in a schema of its own."""
    return postgres_server.new_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a database without tables: a file, then a schema on a real server."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.sqlite"
    return f"{request.getfixturevalue('shared_database')}?schema=run_{secrets.token_hex(6)}"


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    with Ledger(ledger_url) as opened:
        opened.set_cap(CAP, "test")
        yield opened


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FrameStore]:
    with FrameStore.open_for_writing(tmp_path / "frames.zarr") as opened:
        yield opened
