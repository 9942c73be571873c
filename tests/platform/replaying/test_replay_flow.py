"""Campaigns from files and with posing methods, as a user runs them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from forgefield.platform.run_folder import RunFolder
from forgefield.storage.frame_store import load_frames
from forgefield.storage.frames import Frames
from forgefield.storage.geometry import pair_distances, sorted_distances
from forgefield.storage.ledger import Ledger
from forgefield.storage.records import Array, Purpose, Tier
from forgefield.storage.units import from_micro

pytestmark = pytest.mark.slow

PROGRAM = str(Path(sys.executable).with_name("platform"))
SMALL = Path(__file__).with_name("small.toml").read_text()
HIGH, LOW = "h2co_ccsdt_avtz_4001.npz", "h2co_B3LYP_cc-pVDZ_4001.npz"
FILES = """
[replay]
test_frames = 40

[replay.ccsd]
file = "{data}/h2co_ccsdt_avtz_4001.npz"
method = "CCSD(T)-F12B/aug-cc-pVTZ-F12"
unit = "eV"
price = 300.0

[replay.dft]
file = "{data}/h2co_B3LYP_cc-pVDZ_4001.npz"
method = "B3LYP/cc-pVDZ"
unit = "eV"
price = 30.0
"""
PRICES = {Tier.CCSD: 300.0, Tier.DFT: 30.0}


def platform(*words: str, cwd: Path) -> dict[str, object]:
    done = subprocess.run(  # noqa: S603
        [PROGRAM, *words, "--json"],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said: dict[str, object] = json.loads(done.stdout)
    return said


@pytest.fixture(scope="module")
def replayed(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Formaldehyde, both dear tiers from files that hold the same 4001 geometries."""
    data = repository.parent / "shared/data"
    if not ((data / HIGH).exists() and (data / LOW).exists()):
        pytest.skip(f"{HIGH} and {LOW} are not here")
    cwd = tmp_path_factory.mktemp("replay")
    (cwd / "recipe.toml").write_text(SMALL + FILES.format(data=data))
    ask = ["-m", "formaldehyde", "-b", "40ccsd", "--recipe", "recipe.toml", "--workdir", "run"]
    platform("run", *ask, cwd=cwd)
    return RunFolder.at(cwd / "run")


def shapes(frames: Frames) -> Array:
    positions_FA3 = frames.positions_A3.reshape(len(frames), -1, 3)
    numbers = frames.numbers[frames.atoms_of(0)].tolist()
    return sorted_distances(numbers, pair_distances(positions_FA3))


def test_money_is_price_times_labels(replayed: RunFolder) -> None:
    with Ledger(replayed.ledger_url, read_only=True) as ledger:
        tally, balance = ledger.tally(), ledger.balance()
        assert ledger.verify(replayed.frames) == []
    for tier, price in PRICES.items():
        rows = [row for row in tally if row.tier is tier]
        assert sum(row.done for row in rows) > 5
        spent = from_micro(sum(row.spent_micro for row in rows))
        assert spent == price * sum(row.done for row in rows)
    assert balance.cap_micro == 40 * 300 * 10**6, "40ccsd are 40 labels at their price"
    assert balance.spent_micro <= balance.cap_micro


def test_the_plan_sees_the_prices(replayed: RunFolder) -> None:
    plan = json.loads(replayed.plan.read_text())
    quotes = {quote["tier"]: quote for quote in plan["tiers"]}
    for tier, price in PRICES.items():
        assert quotes[tier]["core_seconds"] == price
        assert quotes[tier]["low"] == quotes[tier]["high"] == price
        assert quotes[tier]["method"].endswith(", replayed")
    assert quotes["xtb"]["method"] == "GFN2-xTB"
    assert quotes["xtb"]["core_seconds"] < 1, "really computed, really measured"
    assert plan["recipe"]["labels"]["book"] == ""


def test_no_geometry_is_both_trained_on_and_judged_with(replayed: RunFolder) -> None:
    frames = load_frames(replayed.frames, tuple(Purpose))
    judging = frames.of_purpose(Purpose.HOLDOUT, Purpose.VALIDATION)
    training = frames.of_purpose(Purpose.TRAIN, Purpose.CALIBRATION)
    assert {frames.methods[i].tier for i in np.unique(judging.method_F)} == {Tier.CCSD}
    gaps = np.abs(shapes(judging)[:, None] - shapes(training)[None]).max(axis=2)
    assert gaps.min() > 1e-3


def test_the_end_is_measured_on_frames_that_nobody_bought(replayed: RunFolder) -> None:
    found = json.loads((replayed.root / "test_evaluation.json").read_text())
    assert found["frames"] == 40
    assert found["method"] == "CCSD(T)-F12B/aug-cc-pVTZ-F12, replayed"
    assert found["trained_on"] == 0
    assert 0 < found["force_field"]["force_mae"] < 100
    assert not (replayed.root.parent / "labels.sqlite").exists()


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], RunFolder]:
    cwd = tmp_path_factory.mktemp("rehearsal")
    (cwd / "recipe.toml").write_text(SMALL)
    ask = ["-m", "formaldehyde", "-b", "40ccsd", "--recipe", "recipe.toml"]
    found = platform("rehearse", *ask, cwd=cwd)
    return found, RunFolder.at(cwd / "runs/formaldehyde-40ccsd-rehearsal")


def test_a_rehearsal_compares_its_quote(rehearsed: tuple[dict[str, object], RunFolder]) -> None:
    found, folder = rehearsed
    assert found == json.loads((folder.root / "rehearsal.json").read_text())
    assert found["target"] == "GFN2-xTB, posing as CCSD(T)/cc-pVDZ, frozen core"
    tiers = {row["tier"]: row for row in found["tiers"]}  # type: ignore[attr-defined]
    plan = json.loads(folder.plan.read_text())
    for quote in plan["tiers"]:
        row = tiers[quote["tier"]]
        assert row["planned"] == sum(quote["labels"].values())
        assert row["spent"] == pytest.approx(
            (row["bought"] + row["failed"]) * quote["core_seconds"], rel=1e-5, abs=1e-4
        )
    assert tiers["ccsd"]["bought"] >= tiers["ccsd"]["planned"]
    error = found["error"]
    assert error["measured"] > 0  # type: ignore[index]
    if error["forecast"] is not None:  # type: ignore[index]
        ratio = np.log(error["forecast"]["median"] / error["measured"])  # type: ignore[index]
        assert error["log_ratio"] == pytest.approx(ratio)  # type: ignore[index]


def test_posing_labels_are_called_so_and_shared_with_nobody(
    rehearsed: tuple[dict[str, object], RunFolder],
) -> None:
    _, folder = rehearsed
    frames = load_frames(folder.frames, tuple(Purpose))
    names = {frames.methods[i].name for i in np.unique(frames.method_F)}
    assert len(names) == 4
    assert all(", posing as " in name for name in names)
    assert not list(folder.root.parent.glob("labels.sqlite*"))
    report = folder.report.read_text()
    assert "posing as" in report
