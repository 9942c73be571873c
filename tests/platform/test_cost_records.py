"""Costs are remembered for the host and the threads that made the labels, not for the driver's."""

import math
from pathlib import Path

import pytest
import report_runs as runs

from forgefield.labelers.molecules import find_molecule
from forgefield.platform.planning.cost_records import (
    Seen,
    cost_records,
    labels_seen,
    measured_before,
)
from forgefield.platform.planning.quoting import composition, estimated_costs
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.frame_store import load_frames
from forgefield.storage.records import Purpose, Tier

METHANOL = find_molecule("methanol")


def test_each_host_and_number_of_threads_has_its_record() -> None:
    seen = [Seen(Tier.CCSD, "one", 1, cost) for cost in (9.0, 11.0)]
    seen += [Seen(Tier.CCSD, "two", 4, 30.0), Seen(Tier.DFT, "one", 1, 2.0)]
    seen += measured_before({Tier.DFT: (4.0,)}, "one", 1)
    found = {(r.method, r.host, r.threads): r for r in cost_records(METHANOL, Recipe(), seen)}
    methods = Recipe().methods
    assert set(found) == {
        (methods.ccsd, "one", 1),
        (methods.ccsd, "two", 4),
        (methods.dft, "one", 1),
    }
    own = found[methods.ccsd, "one", 1]
    assert (own.core_seconds, own.labels, own.molecule) == (10.0, 2, composition(METHANOL))
    assert own.scatter == pytest.approx(math.sqrt(math.log1p(2.0 / 100)))
    other = found[methods.ccsd, "two", 4]
    assert (other.core_seconds, other.labels, other.scatter) == (30.0, 1, None)
    assert other.predicted > own.predicted, "four threads take more core-seconds"
    assert found[methods.dft, "one", 1].core_seconds == 3.0


def test_each_version_of_a_program_has_its_record() -> None:
    seen = [Seen(Tier.DFT, "one", 1, cost, version) for cost, version in ((2.0, "a"), (3.0, "b"))]
    found = cost_records(METHANOL, Recipe(), seen)
    assert [(each.version, each.core_seconds) for each in found] == [("a", 2.0), ("b", 3.0)]


def test_labels_at_stated_prices_measure_nothing() -> None:
    posing = {"methods": {"dft": "UFF, posing as PBE/def2-SVP"}, "posing": {"dft": {"price": 9.0}}}
    recipe = Recipe.model_validate(posing)
    assert cost_records(METHANOL, recipe, [Seen(Tier.DFT, "one", 1, 2.0)]) == []


def test_the_frames_know_where_they_were_made(tmp_path: Path) -> None:
    folder = RunFolder.at(tmp_path / "run")
    folder.create()
    plan = runs.toy_plan(folder)
    bought = {(Tier.CCSD, Purpose.CALIBRATION): 2, (Tier.CCSD, Purpose.TRAIN): 3}
    runs.buy(folder, plan, bought, failures=0)
    frames = load_frames(folder.frames, (Purpose.CALIBRATION, Purpose.TRAIN))
    origin = frames.provenance
    seen = labels_seen(frames)
    assert len(seen) == 2
    assert {each.host for each in seen} == {origin.hosts[i] for i in origin.host_F}
    assert {each.threads for each in seen} == {int(n) for n in origin.threads_F}
    assert {each.version for each in seen} == {runs.PROGRAMS[Tier.CCSD][1]}
    costs = frames.of_purpose(Purpose.CALIBRATION).cost_F
    assert sorted(each.core_seconds for each in seen) == sorted(costs)
    assert estimated_costs(METHANOL, Recipe())[Tier.CCSD].core_seconds > 0
