"""What tests share: a reported run, two runs at a label book."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import report_runs as runs
from desks import Desk

from forgefield.platform.reporting.report import write_report
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.run_lock import RunLock


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run of one round that went through all its steps; tests that change it take a copy."""
    folder = RunFolder.at(tmp_path_factory.mktemp("finished") / "methanol-20ccsd")
    folder.create()
    plan = runs.toy_plan(folder)
    folder.plan.write_text(plan.model_dump_json())
    runs.buy(folder, plan, runs.BOUGHT, failures=3)
    runs.teach(folder, runs.few_steps())
    runs.note(folder, runs.TIMELINE)
    return folder


@pytest.fixture(scope="session")
def page(reported: RunFolder) -> runs.Page:
    """Its report."""
    return runs.read(write_report(reported, reported.report))


@pytest.fixture
def desks(tmp_path: Path) -> Iterator[tuple[Desk, Desk]]:
    """Two live runs that share a book."""
    with ExitStack() as stack:
        made = [Desk(tmp_path / name, tmp_path / "labels.sqlite") for name in ("a", "b")]
        for name, desk in zip(("a", "b"), made, strict=True):
            stack.enter_context(RunLock(tmp_path / name))
            stack.callback(desk.ledger.close)
        yield made[0], made[1]
