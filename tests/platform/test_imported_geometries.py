"""Imported labels neither judge a run nor train on what judges it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from spring_campaign import Quiet

from forgefield.labelers.molecules import find_molecule
from forgefield.platform.buying.orders import campaign_orders
from forgefield.platform.data_sets.importing import ImportReport, import_file
from forgefield.platform.evaluating import evaluate_run
from forgefield.platform.foreign_labels.judging import Question
from forgefield.platform.foreign_labels.stated import Stated
from forgefield.platform.ledger_place import writing_ledger
from forgefield.platform.planning.budget import parse_budget
from forgefield.platform.planning.machine import Machine
from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.planner import make_plan
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.planning.request import Request, claim_folder
from forgefield.platform.planning.tier_quotes import TierCost
from forgefield.platform.pools.making import pool_for
from forgefield.platform.pools.pool import Pool
from forgefield.platform.reporting.facts import read_facts
from forgefield.platform.reporting.predictions import hold_out_frames
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.errors import InputError
from forgefield.storage.frame_store import FrameStore, load_frames
from forgefield.storage.ledger import Ledger
from forgefield.storage.ledger.packing import pack
from forgefield.storage.records import (
    IMPORTED,
    Job,
    Label,
    Method,
    Outcome,
    Provenance,
    Purpose,
    Tier,
)

HERE = Machine(nodes=1, cores=2, memory_bytes=16 * 10**9)
COSTS = {
    tier: TierCost(seconds, seconds / 2, seconds * 2, 10**9, 2)
    for tier, seconds in zip(Tier, (1e-4, 3e-3, 4.0, 16.0), strict=True)
}
RECIPE = Recipe.model_validate(
    {
        "sampling": {"frames": 20, "conformers": 1, "interval": 50.0, "equilibration": 50.0},
        "labels": {"book": ""},
        "allocation": {"cheap_labels": 20},
    }
)
METHANOL, BUDGET = find_molecule("methanol"), "40ccsd"


def planned(folder: RunFolder) -> Plan:
    return make_plan(METHANOL, parse_budget(BUDGET), COSTS, (HERE,), RECIPE, str(folder.root))


def imported(folder: RunFolder, positions_FA3: np.ndarray, name: str) -> ImportReport:
    """Labels of these geometries by a cheap method, from a file beside the run."""
    file = folder.root.parent / f"{name}.npz"
    energies = np.arange(len(positions_FA3), dtype=float)
    arrays = {"R": positions_FA3, "E": energies, "F": np.zeros_like(positions_FA3)}
    np.savez(file, z=np.array(METHANOL.numbers), **arrays)
    stated = Stated(method="GFN2-xTB", energy_unit="eV")
    return import_file(Question(file, stated, trust=True), folder, Quiet())


def judging(pool: Pool, plan: Plan) -> np.ndarray:
    kept = (Purpose.HOLDOUT, Purpose.VALIDATION)
    jobs = [j for order in campaign_orders(pool, plan) for j in order.jobs if j.purpose in kept]
    return np.array([job.configuration.positions_A3 for job in jobs])


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    (tmp_path / "runs").mkdir()
    return RunFolder.at(tmp_path / "runs/run")


def test_what_was_imported_first_is_not_sampled_again(folder: RunFolder, tmp_path: Path) -> None:
    """Another run of the molecule samples the same; labelled there, it can't be held out here."""
    other = RunFolder.at(tmp_path / "runs/other")
    other.create()
    before = pool_for(other, METHANOL, planned(other), Quiet())
    imported(folder, before.positions_FA3[::2], "other")
    folder.create()
    pool = pool_for(folder, METHANOL, planned(folder), Quiet())
    assert len(pool) == len(before)
    there = {shape.tobytes() for shape in pool.positions_FA3}
    assert there.isdisjoint(shape.tobytes() for shape in before.positions_FA3[::2])
    assert there.issuperset(shape.tobytes() for shape in before.positions_FA3[1::2])


def test_labels_of_what_will_judge_stay_outside(folder: RunFolder) -> None:
    folder.create()
    claim_folder(Request(METHANOL, parse_budget(BUDGET), RECIPE, folder))
    with Ledger(folder.ledger_url) as ledger:
        ledger.set_cap(10**9, "test")
    plan = planned(folder)
    pool = pool_for(folder, METHANOL, plan, Quiet())
    with pytest.raises(InputError, match="stopped before it had a plan"):
        imported(folder, pool.positions_FA3[-3:], "early")
    folder.plan.write_text(plan.model_dump_json())
    kept = judging(pool, plan)
    assert len(kept) > 5
    moved = kept + np.array([1.0, 2.0, 3.0])
    found = imported(folder, np.concatenate([moved, pool.positions_FA3[-3:]]), "late")
    assert (found.judging, found.imported) == (len(kept), 3)
    assert len(load_frames(folder.frames)) == 3


def test_a_hold_out_of_another_method_does_not_judge(reported: RunFolder, tmp_path: Path) -> None:
    folder = RunFolder.at(shutil.copytree(reported.root, tmp_path / "run"))
    before = evaluate_run(folder)
    shape = METHANOL.at(METHANOL.positions_A3 * 1.01)
    job = Job(shape, Method(Tier.CCSD, "CCSD(T)/cc-pVQZ"), Purpose.HOLDOUT)
    label = Label(-1.0, np.zeros_like(shape.positions_A3), Provenance(IMPORTED, "x", "", 1, 0, 0))
    with writing_ledger(folder) as ledger, FrameStore.open_for_writing(folder.frames) as store:
        ledger.adopt([Outcome(job, label)], "foreign.xyz")
        pack(ledger, store)
    every = load_frames(folder.frames, (Purpose.HOLDOUT,)).of_tier(Tier.CCSD)
    assert len(every) == before.frames + 1
    assert evaluate_run(folder) == before
    judged = hold_out_frames(read_facts(folder))
    assert judged is not None
    assert len(judged) == before.frames
