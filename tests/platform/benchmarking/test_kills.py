"""A benchmark killed as a process, and one whose stages run side by side: the same numbers."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spring_files as springs

pytestmark = pytest.mark.slow
COMMAND = [sys.executable, "-c", "from forgefield.platform.cli import main; main()", "benchmark"]
AT_THE_BEST_C = 12
"""Stages that are over when the second seed begins at the c that the first one's search chose."""
Numbers = list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command for small files, but for its folder and how many stages run at a time."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "recipe.toml").write_text(springs.RECIPE.replace("steps = 12", "steps = 120"))
    high, low = springs.distortions(60, 1), springs.distortions(60, 2)
    cheap = np.concatenate([low, springs.turned(high[:5])])
    accurate = springs.write(folder / "high.npz", high, springs.ACCURATE)
    files = ["--ccsd", accurate, "--dft", springs.write(folder / "low.npz", cheap, springs.CHEAP)]
    more = ["--model", "egnn", "--recipe", folder / "recipe.toml", "--seeds", 2, "--c", "0.5,2"]
    budget = ["--budget-ccsd", 20, "--cost-ratio", 10, "--rows", "standard,full,unweighted"]
    return [*map(str, ["asteroid", *files, *more, *budget]), "--device", "cpu", "--json"]


@pytest.fixture(scope="module")
def whole(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> Numbers:
    """The numbers of a run that nothing happened to."""
    return numbers([*words, "--parallel", "1", "--out", str(tmp_path_factory.mktemp("whole"))])


def numbers(words: list[str], cwd: Path | None = None) -> Numbers:
    command = [*COMMAND, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)  # noqa: S603
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    return [(row["row"], row["seed"], row["score"]["force_mae"], row["c"]) for row in rows]


def test_a_killed_benchmark_ends_with_the_same_numbers(
    words: list[str], whole: Numbers, tmp_path: Path
) -> None:
    command = [*COMMAND, *words, "--parallel", "1", "--out", str(tmp_path)]
    killed = 0
    for stages in (1, 3, AT_THE_BEST_C):
        process = subprocess.Popen(  # noqa: S603
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while process.poll() is None:
            if len(list(tmp_path.glob("stages/*/stage.json"))) >= stages:
                process.kill()
            time.sleep(0.02)
        killed += process.returncode == -9
    assert killed == 3
    assert numbers(command[len(COMMAND) :]) == whole


def test_stages_side_by_side_give_the_same_numbers(
    words: list[str], whole: Numbers, tmp_path: Path
) -> None:
    """Into the usual folder, which is beside the caller and not where Ray's workers are."""
    assert numbers([*words, "--parallel", "2"], cwd=tmp_path) == whole
    assert list(tmp_path.glob("benchmarks/asteroid-high-low-egnn/stages/*/stage.json"))
