"""Books on SQLite and, where a server is installed, on PostgreSQL; two runs that share them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from forgefield.storage.label_book import LabelBook, Run
from forgefield.storage.run_lock import RunLock

Opener = Callable[..., LabelBook]


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where an empty book goes."""
    if request.param == "sqlite":
        return str(tmp_path / "labels.sqlite")
    url: str = request.getfixturevalue("postgres_server").new_database()
    return url


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[dict[str, Run]]:
    """Runs `a` and `b` that are alive, and `dead`, which isn't."""
    made = {}
    with ExitStack() as stack:
        for name in ("a", "b", "dead"):
            folder = tmp_path / name
            folder.mkdir()
            made[name] = Run.here(name * 8, folder)
            if name != "dead":
                stack.enter_context(RunLock(folder))
        yield made


@pytest.fixture
def opened(place: str, runs: dict[str, Run]) -> Iterator[Opener]:
    """Opens the book for a run, by its name."""
    with ExitStack() as stack:

        def open_for(name: str, least_core_seconds: float = 0.1) -> LabelBook:
            return stack.enter_context(LabelBook(place, runs[name], least_core_seconds))

        yield open_for
