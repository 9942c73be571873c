"""`platform status` before there is a plan, and on a narrow screen."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from forgefield.labelers.molecules import find_molecule
from forgefield.platform.planning.budget import parse_budget
from forgefield.platform.planning.plan_files import load_plan
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.planning.request import Request, claim_folder
from forgefield.platform.run_folder import RunFolder
from forgefield.platform.showing.console import show_status
from forgefield.platform.status import StageStatus, Status, _core_seconds_to_buy, status_of
from forgefield.storage.ledger import Ledger
from forgefield.storage.records import Tier
from forgefield.storage.units import to_micro


def shown(status: Status) -> str:
    console = Console(file=io.StringIO(), width=80)
    show_status(console, status)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_while_it_calibrates_a_run_is_told_by_its_claim_and_in_core_hours(tmp_path: Path) -> None:
    folder = RunFolder.at(tmp_path / "run")
    folder.create()
    claim_folder(Request(find_molecule("ethanol"), parse_budget("20ccsd"), Recipe(), folder))
    with Ledger(folder.ledger_url) as ledger:
        ledger.set_cap(to_micro(1800.0), "from high estimates")
    status = status_of(folder)
    assert (status.molecule, status.budget) == ("ethanol", "0.5cpuh")
    assert status.seconds_to_go is None
    said = shown(status)
    assert "0.5cpuh left of 0.5cpuh" in said
    assert "/0" not in said


def test_what_trains_and_what_came_on_top_of_the_plan(reported: RunFolder) -> None:
    status = status_of(reported)
    stages = (
        StageStatus(name="pre-training on xtb", step=0, steps=1500, error=None),
        StageStatus(name="standard training", step=100, steps=800, error=4.75),
    )
    *cheap, dear = status.tiers
    more = dear.model_copy(update={"done": 37, "planned": 17})
    said = shown(status.model_copy(update={"training": stages, "tiers": (*cheap, more)}))
    assert "pre-training on xtb: step 0 of 1,500" in said
    assert "standard training: step 100 of 800, 4.75 kcal/mol/Å so far" in said
    assert " 17 + 20 " in said


def test_labelling_ends_with_the_money_or_the_plan(reported: RunFolder) -> None:
    """Where labels were dearer than quoted, not all of the plan's can still be bought."""
    plan, status = load_plan(reported.plan), status_of(reported)
    bought = [tier.model_copy(update={"done": tier.planned}) for tier in status.tiers]
    two_less = {"done": bought[-1].planned - 2, "failed": 0}
    two_missing = (*bought[:-1], bought[-1].model_copy(update=two_less))
    price = plan.tier(Tier.CCSD).core_seconds
    assert _core_seconds_to_buy(two_missing, plan, 10 * price) == pytest.approx(2 * price)
    assert _core_seconds_to_buy(two_missing, plan, 0.5 * price) == pytest.approx(0.5 * price)


def test_all_columns_fit_on_eighty(reported: RunFolder) -> None:
    status = status_of(reported)
    many = {"done": 2000, "planned": 2000, "spent": 4.4}
    wide = tuple(tier.model_copy(update=many) for tier in status.tiers)
    lines = shown(status.model_copy(update={"tiers": wide})).splitlines()
    (head,) = (line for line in lines if "core-hours" in line)
    assert head.rstrip(" │").endswith("wasted")
    assert sum(" 2,000/2,000 " in line for line in lines) == len(wide)
