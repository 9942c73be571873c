"""What tests of every room share: where the sources are."""

import importlib.util
from pathlib import Path

import pytest

ROOMS = ("storage", "labelers", "trainers", "platform")


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
