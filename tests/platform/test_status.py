"""`platform status` before there is a plan, and on a narrow screen."""

import io
import shutil
import time
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from forgefield.labelers.molecules import find_molecule
from forgefield.platform.planning.budget import parse_budget
from forgefield.platform.planning.plan_files import load_plan
from forgefield.platform.planning.quote_parts import TrainingTime
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.planning.request import Request, claim_folder
from forgefield.platform.run_folder import RunFolder, write_atomically
from forgefield.platform.showing.console import show_status
from forgefield.platform.status import Status, _core_seconds_to_buy, _rate, status_of
from forgefield.platform.training_status import StageStatus
from forgefield.storage.errors import InputError
from forgefield.storage.ledger import Ledger
from forgefield.storage.ledger.entries import Entry, EntryKind
from forgefield.storage.records import Tier
from forgefield.storage.run_lock import RunLock
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


def test_what_was_wasted_is_explained_where_something_was(reported: RunFolder) -> None:
    status = status_of(reported)
    for wasted, explained in ((0.0, False), (3.6, True)):
        tiers = tuple(t.model_copy(update={"wasted": wasted, "failed": 0}) for t in status.tiers)
        said = shown(status.model_copy(update={"tiers": tiers}))
        assert ("failed or were cut off" in said) is explained


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
    (head,) = (line for line in lines if "running" in line and "failed" in line)
    assert head.rstrip(" │").endswith("wasted")
    assert sum(" 2,000/2,000 " in line for line in lines) == len(wide)


def test_a_run_that_is_sampled_is_told_to_be_one(tmp_path: Path) -> None:
    folder = RunFolder.at(tmp_path / "run")
    folder.create()
    with pytest.raises(InputError, match="not a run folder"):
        RunFolder.campaign(folder.root)
    write_atomically(folder.request, "{}")
    with pytest.raises(InputError, match="has bought nothing yet"):
        RunFolder.campaign(folder.root)


def test_a_stopped_run_says_how_it_goes_on(reported: RunFolder) -> None:
    status = status_of(reported)
    assert "Go on with" not in shown(status.model_copy(update={"step": "finished"}))
    cut_off = shown(status.model_copy(update={"step": "training began"}))
    assert "Go on with: platform run" in " ".join(cut_off.split())


def test_the_last_training_stands_beside_its_quote(
    reported: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it goes on; the rest of the quote is the time to go until that is exceeded."""
    folder = RunFolder.at(shutil.copytree(reported.root, tmp_path / "run"))
    quoted_s = 600.0
    took = TrainingTime(core_seconds=1000.0, wall_s=quoted_s, factor=1.5)
    plan = load_plan(folder.plan).model_copy(update={"training_time": took})
    folder.plan.write_text(plan.model_dump_json())
    monkeypatch.setattr(RunLock, "is_held", lambda _: True)
    for gone_s, to_go_s in ((0.25 * quoted_s, 0.75 * quoted_s), (2 * quoted_s, None)):
        folder.note("training began")
        with monkeypatch.context() as later:
            now = time.time() + gone_s
            later.setattr("forgefield.platform.training_status.time.time", lambda now=now: now)
            status = status_of(folder)
        assert status.training_s == pytest.approx(gone_s, abs=5)
        assert status.seconds_to_go == (None if to_go_s is None else pytest.approx(to_go_s, abs=5))
        assert "quoted" in shown(status)
    folder.note("training ended")
    assert status_of(folder).training_s is None


def test_a_rate_is_of_the_labelling_that_goes_on() -> None:
    """Calibration may have been minutes ago, and nothing was bought between."""
    entry = partial(Entry, id=0, reservation=0, note="")
    now = time.time()
    before = [
        entry(at=now - 500, kind=EntryKind.RESERVE, amount_micro=0),
        entry(at=now - 490, kind=EntryKind.LABEL, amount_micro=to_micro(20.0)),
    ]
    since = [
        entry(at=now - 20, kind=EntryKind.RESERVE, amount_micro=0),
        entry(at=now - 1, kind=EntryKind.LABEL, amount_micro=to_micro(40.0)),
    ]
    assert _rate([*before, *since], now - 30) == pytest.approx(2.0, rel=0.05)
    assert _rate(before, now - 30) is None
