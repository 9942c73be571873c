"""The file of costs: kept from run to run, never mixed up, never in the way of a run."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from forgefield.platform.planning.cost_store import (
    CostRecord,
    cost_file,
    known_costs,
    remember_costs,
)

METHOD = "CCSD(T)/cc-pVDZ, frozen core"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def record(**facts: object) -> CostRecord:
    usual: dict[str, object] = {
        "host": platform.node(),
        "method": METHOD,
        "threads": 1,
        "molecule": "8 1 1, charge 0, multiplicity 1",
        "predicted": 0.5,
        "core_seconds": 0.25,
        "labels": 2,
        "scatter": 0.04,
        "at": 1.0,
    }
    return CostRecord.model_validate(usual | facts)


def test_what_was_measured_is_found_again(cache: Path) -> None:
    assert known_costs(METHOD, 1) == ()
    assert remember_costs([record()]) == ""
    assert cost_file() == cache / "forgefield/costs.json"
    (found,) = known_costs(METHOD, 1)
    assert (found.core_seconds, found.predicted) == (0.25, 0.5)
    assert (found.labels, found.scatter) == (2, 0.04)


def test_more_labels_are_never_replaced_by_fewer() -> None:
    remember_costs([record(labels=20)])
    remember_costs([record(core_seconds=0.9, labels=2, at=2.0)])
    assert [found.core_seconds for found in known_costs(METHOD, 1)] == [0.25]
    remember_costs([record(core_seconds=0.4, labels=20, at=3.0)])
    assert [found.core_seconds for found in known_costs(METHOD, 1)] == [0.4]


def test_the_latest_measurement_of_a_molecule_replaces_the_others() -> None:
    remember_costs([record()])
    remember_costs([record(core_seconds=0.3, at=2.0), record(molecule="6 1 1 1 1", at=3.0)])
    assert sorted(found.core_seconds for found in known_costs(METHOD, 1)) == [0.25, 0.3]


def test_other_hosts_methods_and_threads_say_nothing() -> None:
    remember_costs([record(host="elsewhere"), record(method="PBE/def2-SVP"), record(threads=2)])
    assert len(known_costs(METHOD, 2)) == 1
    assert known_costs(METHOD, 1) == ()
    remember_costs([record(core_seconds=0.7)])
    assert [found.core_seconds for found in known_costs(METHOD, 1)] == [0.7]


@pytest.mark.parametrize("body", ["", "{", "[]", '{"records": [{"host": 1}]}', "\x00\xff"])
def test_a_damaged_file_counts_as_empty_and_is_replaced(body: str) -> None:
    cost_file().parent.mkdir(parents=True)
    cost_file().write_text(body)
    assert known_costs(METHOD, 1) == ()
    assert remember_costs([record()]) == ""
    assert len(known_costs(METHOD, 1)) == 1


def test_a_place_that_cant_be_written_is_said_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert "XDG_CACHE_HOME" in remember_costs([record()])
    assert known_costs(METHOD, 1) == ()


def test_a_relative_cache_is_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the XDG specification has it."""
    monkeypatch.setenv("XDG_CACHE_HOME", "somewhere")
    monkeypatch.setenv("HOME", "/nobody")
    assert cost_file() == Path("/nobody/.cache/forgefield/costs.json")


def test_writers_at_once_lose_nothing(cache: Path) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_cost_store as t\n"
        "for n in range(10): t.remember_costs([t.record(molecule=f'{sys.argv[2]} {n}')])"
    )
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    words = [sys.executable, "-c", script, str(Path(__file__).parent)]
    writers = [subprocess.Popen([*words, str(n)], env=environment) for n in range(3)]  # noqa: S603
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert len(known_costs(METHOD, 1)) == 30
    assert len(json.loads(cost_file().read_text())["records"]) == 30
    left = sorted(path.name for path in cost_file().parent.iterdir())
    assert left == ["costs.json", "costs.lock"]
