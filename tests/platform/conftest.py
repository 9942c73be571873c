"""What tests share: the ASTEROID benchmark on small files, a reported run, two runs at a book."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import report_runs as runs
import spring_files as springs
from desks import Desk
from spring_benchmark import ACCURATE_FRAMES, CHEAP_FRAMES, TERMS
from spring_files import RECIPE, Listener

from forgefield.platform.benchmarking.asked import Asked
from forgefield.platform.benchmarking.asteroid import benchmark_asteroid
from forgefield.platform.benchmarking.results import Results
from forgefield.platform.reporting.report import write_report
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.run_lock import RunLock


@pytest.fixture(scope="session")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """80 accurate frames, all of them with a cheap label too, turned; 60 other cheap frames."""
    folder = tmp_path_factory.mktemp("files")
    own = springs.distortions(ACCURATE_FRAMES, 1)
    cheap = np.concatenate([springs.distortions(CHEAP_FRAMES, 2), springs.turned(own)])
    (folder / "recipe.toml").write_text(RECIPE)
    return Asked(
        accurate=springs.write(folder / "high.npz", own, springs.ACCURATE),
        cheap=springs.write(folder / "low.npz", cheap, springs.CHEAP),
        test=None,
        out=folder / "out",
        model="egnn",
        recipe=folder / "recipe.toml",
        seeds=2,
        parallel=1,
        device="cpu",
    )


@pytest.fixture(scope="session")
def results(asked: Asked) -> Results:
    """Every row of two seeds; takes ten seconds."""
    return benchmark_asteroid(asked, TERMS, Listener())


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
