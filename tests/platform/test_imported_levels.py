"""Imports of another level of theory than the plan's are named in its quote."""

from pathlib import Path

import numpy as np
from spring_campaign import Quiet

from forgefield.labelers.molecules import find_molecule
from forgefield.platform.data_sets.importing import import_file
from forgefield.platform.foreign_labels.judging import Question
from forgefield.platform.foreign_labels.stated import Stated
from forgefield.platform.planning.budget import parse_budget
from forgefield.platform.planning.machine import Machine
from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.planning.request import Request
from forgefield.platform.planning.tier_quotes import TierCost
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.records import Tier

HERE = Machine(nodes=1, cores=2, memory_bytes=16 * 10**9)
COSTS = {
    tier: TierCost(seconds, seconds / 2, seconds * 2, 10**9)
    for tier, seconds in zip(Tier, (1e-4, 3e-3, 4.0, 16.0), strict=True)
}
WATER = find_molecule("water")


def imported(folder: RunFolder, method: str, count: int) -> None:
    file = folder.root.parent / f"{count}.npz"
    shapes_FA3 = WATER.positions_A3 + np.random.default_rng(count).normal(0, 0.03, (count, 3, 3))
    arrays = {"R": shapes_FA3, "E": np.arange(float(count)), "F": np.zeros_like(shapes_FA3)}
    np.savez(file, z=np.array(WATER.numbers), **arrays)
    import_file(
        Question(file, Stated(method=method, energy_unit="eV"), trust=True), folder, Quiet()
    )


def test_a_quote_names_imports_of_another_level(tmp_path: Path) -> None:
    folder = RunFolder.at(tmp_path / "run")

    def quoted() -> Plan:
        request = Request(WATER, parse_budget("40ccsd"), Recipe(), folder)
        return request.plan(COSTS, HERE)

    before = quoted()
    imported(folder, "PBE/def2-SVP", 20)
    right = quoted()
    assert right.imported[Tier.DFT] == 20
    assert right.warnings == before.warnings
    imported(folder, "PBE0/def2-SVP", 15)
    both = quoted()
    assert both.imported == right.imported
    said = "15 dft frames of PBE0/def2-SVP are left out: this run's dft method is PBE/def2-SVP"
    assert both.warnings == (said, *before.warnings)
