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
VERSION = "0.1.0 with PySCF 2.14.0"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def record(**facts: object) -> CostRecord:
    usual: dict[str, object] = {
        "host": platform.node(),
        "method": METHOD,
        "version": VERSION,
        "threads": 1,
        "molecule": "8 1 1, charge 0, multiplicity 1",
        "predicted": 0.5,
        "core_seconds": 0.25,
        "labels": 2,
        "scatter": 0.04,
        "at": 1.0,
    }
    return CostRecord.model_validate(usual | facts)


def known(method: str = METHOD) -> list[float]:
    """What labels cost by what is in the file, in ascending order."""
    return sorted(found.core_seconds for found in known_costs(method, VERSION))


def test_what_was_measured_is_found_again(cache: Path) -> None:
    assert known_costs(METHOD, VERSION) == ()
    assert remember_costs([record()]) == ""
    assert cost_file() == cache / "forgefield/costs.json"
    (found,) = known_costs(METHOD, VERSION)
    assert (found.core_seconds, found.predicted) == (0.25, 0.5)
    assert (found.labels, found.scatter) == (2, 0.04)
    assert (found.threads, found.current) == (1, True)


def test_a_busy_day_is_forgotten_by_the_next_calibration() -> None:
    """Of two labels, however many the busy day had; a single one is too few."""
    remember_costs([record(core_seconds=0.9, labels=20)])
    remember_costs([record(core_seconds=0.7, labels=1, scatter=None, at=2.0)])
    assert known() == [0.9]
    remember_costs([record(core_seconds=0.25, labels=2, at=3.0)])
    assert known() == [0.25]


def test_a_single_label_is_replaced_by_the_next() -> None:
    for cost in (0.9, 0.25):
        remember_costs([record(core_seconds=cost, labels=1, scatter=None)])
    assert known() == [0.25]


def test_the_latest_measurement_of_a_molecule_replaces_the_others() -> None:
    remember_costs([record()])
    remember_costs([record(core_seconds=0.3, at=2.0), record(molecule="6 1 1 1 1", at=3.0)])
    assert known() == [0.25, 0.3]


def test_other_hosts_and_methods_say_nothing() -> None:
    remember_costs([record(host="elsewhere"), record(method="PBE/def2-SVP")])
    assert known() == []
    remember_costs([record(core_seconds=0.7)])
    assert known() == [0.7]


def test_other_threads_and_versions_are_kept_apart_and_told_apart() -> None:
    """A file of before says no version."""
    remember_costs([record(), record(threads=2), record(version="0.1.0 with PySCF 2.15.0")])
    body = json.loads(cost_file().read_text())
    old = {name: value for name, value in body["records"][0].items() if name != "version"}
    cost_file().write_text(json.dumps(body | {"records": [*body["records"], old]}))
    found = known_costs(METHOD, VERSION)
    assert sorted((each.threads, each.current) for each in found) == [
        (1, False),
        (1, False),
        (1, True),
        (2, True),
    ]


@pytest.mark.parametrize("body", ["", "{", "[]", '{"records": [{"host": 1}]}', "\x00\xff"])
def test_a_damaged_file_counts_as_empty_and_is_replaced(body: str) -> None:
    cost_file().parent.mkdir(parents=True)
    cost_file().write_text(body)
    assert known() == []
    assert remember_costs([record()]) == ""
    assert len(known()) == 1


def test_a_place_that_cant_be_written_is_said_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert "XDG_CACHE_HOME" in remember_costs([record()])
    assert known() == []


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
    assert len(known()) == 30
    assert len(json.loads(cost_file().read_text())["records"]) == 30
    left = sorted(path.name for path in cost_file().parent.iterdir())
    assert left == ["costs.json", "costs.lock"]
