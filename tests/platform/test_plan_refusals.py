"""Plans and budgets that can't be are refused by the command, before anything is spent or made."""

import json
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from forgefield.labelers.molecules import find_molecule
from forgefield.platform.cli import app, main
from forgefield.platform.planning.budget import parse_budget
from forgefield.platform.planning.machine import Machine
from forgefield.platform.planning.plan_files import load_plan
from forgefield.platform.planning.planner import make_plan
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.planning.request import Request, claim_folder
from forgefield.platform.planning.tier_quotes import TierCost
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.records import Tier

HERE = Machine(nodes=1, cores=2, memory_bytes=16 * 10**9)
SECONDS = {Tier.EMPIRICAL: 1e-4, Tier.XTB: 3e-3, Tier.DFT: 2.0, Tier.CCSD: 16.0}
BAD_INPUT = 2
Refused = Callable[..., str]
Document = dict[str, Any]


@pytest.fixture
def refused(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Refused:
    """The message of a command that must end as bad input and leave no ledger behind."""
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> str:
        monkeypatch.setattr("sys.argv", ["platform", *map(str, words), "--json"])
        with pytest.raises(SystemExit) as ended:
            main()
        answer = json.loads(capfd.readouterr().out.splitlines()[-1])
        assert ended.value.code == BAD_INPUT, answer
        assert not list(tmp_path.rglob("ledger.sqlite"))
        assert not list(tmp_path.rglob("configurations.npz"))
        return str(answer["error"]["message"])

    return call


def plan_document(budget: str = "40ccsd") -> Document:
    costs = {t: TierCost(s, s / 2, s * 2, 10**9) for t, s in SECONDS.items()}
    molecule = find_molecule("methanol")
    plan = make_plan(molecule, parse_budget(budget), costs, (HERE,), Recipe(), "run", 0.5)
    document: Document = json.loads(plan.model_dump_json())
    return document


@pytest.mark.parametrize(
    ("budget", "why"),
    [
        ("0ccsd", "above 0"),
        ("-5ccsd", "above 0"),
        ("-$5", "above 0"),
        ("1e-9ccsd", "at least 0.000001"),
        ("1e30ccsd", "at most"),
        ("1e999ccsd", "at most"),
        ("1e12ccsd", "at most"),
        ("nan", "not a budget"),
        ("nanccsd", "not a budget"),
        ("infccsd", "not a budget"),
        ("2000000000ccsd", "at most"),
        ("0.000001ccsd", "at least"),
        ("3ccsd", "at least"),
        ("0.0001cpuh", "at least"),
        ("$1000000000", "years"),
        ("1000000000gpuh", "years"),
    ],
)
def test_hopeless_and_absurd_budgets(budget: str, why: str, refused: Refused) -> None:
    for words in (("plan", "--no-calibrate"), ("plan",), ("run",)):
        message = refused(*words, "-m", "methanol", f"--budget={budget}")
        assert why in message
        assert len(message) < 500
    assert not Path("runs").exists()


def test_a_target_that_no_budget_reaches(refused: Refused) -> None:
    said = refused("plan", "--no-calibrate", "-m", "methanol", "--target", "0.001kcal")
    assert "No budget is expected" in said
    assert "not a target error" in refused("plan", "-m", "methanol", "--target", "0.3kJ")
    assert "--target" in refused("plan", "-m", "methanol")


def set_at(document: Document, path: str, value: object) -> None:
    *parents, last = path.split(".")
    place: Any = document
    for name in parents:
        place = place[int(name)] if name.isdigit() else place[name]
    place[int(last) if last.isdigit() else last] = value


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"tiers.3.labels.train": 400}, "more than the"),
        ({"tiers.2.core_seconds": 1999.0, "tiers.2.high": 1e4}, "more than the"),
        ({"cap_micro": 64_000_000_000}, "its cap is"),
        ({"cap_micro": 1}, "its cap is"),
        ({"cap_micro": 0}, "cap_micro"),
        ({"cap_micro": -5}, "cap_micro"),
        ({"budget": "4000ccsd"}, "its cap is"),
        ({"budget": "40dft"}, "one dft is worth"),
        ({"budget": "-40ccsd"}, "above 0"),
        ({"unit_core_seconds": 1.0}, "one ccsd is worth"),
        ({"unit_core_seconds": float("nan")}, "unit_core_seconds"),
        ({"tiers.3.core_seconds": 1e-3}, "not between"),
        ({"tiers.3.core_seconds": float("inf")}, "core_seconds"),
        ({"tiers.3.high": float("inf")}, "high"),
        ({"tiers.1.labels.train": -1}, "labels"),
        ({"tiers.1.labels.holdout": 5}, "only the target tier"),
        ({"tiers.3.labels.test": 1}, "none of calibration"),
        ({"tiers.3.method": "CCSD(T)/cc-pVTZ, frozen core"}, "in its recipe"),
        ({"tiers.3.method": "PBE/def2-SVP"}, "in its recipe"),
        ({"recipe.methods.dft": "PBE0/def2-SVP"}, "in its recipe"),
        ({"recipe.methods.dft": "GFN2-xTB"}, "tier xtb"),
        ({"recipe.methods.ccsd": "CCSD(T)/cc-pVDZ, energy only"}, "no"),
        ({"recipe.prices.core_hour": 0}, "core_hour"),
        ({"recipe.labels.threads": 4}, "threads"),
        ({"threads": 3}, "threads"),
        ({"slots": 64}, "need more than 2 cores"),
        ({"slots": -1}, "slots"),
        ({"tiers.3.fits": False}, "doesn't fit"),
        ({"calibrated": True}, "called calibrated"),
        ({"wall": []}, "no machine"),
        ({"molecule.charge": 1}, "multiplicity"),
        ({"molecule.numbers.0": 300}, "atomic number"),
        ({"molecule.positions_A3.0.0": float("nan")}, "positions"),
        ({"training_effort": 4.5}, "trains 4.5 times its recipe's steps (training_effort)"),
        ({"training_effort": float("inf")}, "training_effort"),
        ({"training_effort": 0}, "training_effort"),
        ({"recipe.training.effort": 2.5}, "40ccsd and its recipe make that 2.5"),
        ({"tiers.3.labels": {}}, "labels calibrate"),
        ({"tiers.3.labels.train": 1}, "1 ccsd labels are for train"),
        ({"tiers.3.labels.holdout": 0}, "0 ccsd labels are for holdout"),
        ({"tiers.3.labels.validation": 0}, "0 ccsd labels are for validation"),
        ({"tiers.3.labels.calibration": 0}, "by its recipe 2"),
        ({"tiers.0.labels.calibration": 2}, "by its recipe 20"),
        ({"tiers.3.labels.train": 10**400}, "must be at most 1,000,000,000"),
        ({"recipe.allocation.most_target": 12}, "more than its recipe's 12"),
        ({"recipe.allocation.most_target": 3}, "most_target = 3"),
        ({"wall.0.seconds": -5.0}, "take -5 s"),
        ({"forecast.low": 10.0}, "which is not between 10 and"),
        ({"alternatives.0.error.high": 1e-6}, "is forecast"),
        ({"alternatives.0.budget": "xyz"}, "'xyz' is not a budget"),
        ({"target.asked": 5000.0}, "target error lies between"),
        ({"target.budget": "junk"}, "'junk' is not a budget"),
        ({"workdir": ""}, "no run folder"),
        ({"molecule.multiplicity": -1}, "no multiplicity -1"),
        ({"molecule.numbers": [7, 7, 1, 1, 1, 1]}, "its bonds are of H H H H C O"),
        ({"molecule.mol_block": "junk"}, "its bonds are of no atoms"),
        ({"molecule.positions_A3": [[0, 0, 0]] * 6}, "lie 0 Å apart"),
        ({"molecule.positions_A3.0.0": 1e300}, "from the origin"),
        ({"molecule.name": "ethanol"}, "the molecule was changed"),
        ({"molecule.smiles": "CCO"}, "the molecule was changed"),
        ({"format": 7}, "format 7"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_plans_that_were_edited_into_contradiction(
    changes: dict[str, object], why: str, refused: Refused
) -> None:
    document = plan_document()
    for path, value in changes.items():
        set_at(document, path, value)
    Path("plan.json").write_text(json.dumps(document))
    message = refused("run", "plan.json")
    assert why in message
    assert "plan.json" in message or "budget" in message
    assert not Path("run").exists()


def test_a_plan_in_place_of_another_is_said_and_no_other_file_is_overwritten(
    refused: Refused,
) -> None:
    words = ["plan", "--no-calibrate", "-b", "40ccsd", "-m"]
    made = [CliRunner().invoke(app, [*words, name]) for name in ("methanol", "methanol", "water")]
    assert ["replaces" in each.output for each in made] == [False, False, True]
    assert "the plan of methanol for 40ccsd in plan.json" in made[2].output
    Path("notes.txt").write_text("dear to me")
    assert "isn't a plan" in refused(*words, "water", "-o", "notes.txt")
    assert Path("notes.txt").read_text() == "dear to me"


def test_the_makefile_plans_into_a_run_folder_that_is_not_there_yet(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    house = Path(__file__).parents[2]
    said = subprocess.run(  # noqa: S603 our own words
        [shutil.which("make") or "make", "-n", "run", "STAMP=", f"RUN={tmp_path}/runs/new"],
        cwd=house,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.replace("\\\n", " ")
    line = next(each for each in said.splitlines() if "platform plan" in each)
    words = shlex.split(line.split("platform plan")[1])
    monkeypatch.chdir(tmp_path)
    made = CliRunner().invoke(app, ["plan", *words, "--no-calibrate", "--plot", "runs/new/p.svg"])
    assert made.exit_code == 0, made.output
    assert load_plan(tmp_path / "runs/new/plan.json").molecule.name == "ethanol"
    assert Path("runs/new/p.svg").exists()


def test_tiers_in_another_order(refused: Refused) -> None:
    document = plan_document()
    document["tiers"][2], document["tiers"][3] = document["tiers"][3], document["tiers"][2]
    Path("plan.json").write_text(json.dumps(document))
    assert "in this order" in refused("run", "plan.json")
    document["tiers"][2]["tier"], document["tiers"][3]["tier"] = "dft", "ccsd"
    Path("plan.json").write_text(json.dumps(document))
    assert "in its recipe" in refused("run", "plan.json")


@pytest.mark.parametrize(
    ("molecule", "recipe", "what"),
    [
        ("ethanol", Recipe(), "of ethanol, not of methanol"),
        ("methanol", Recipe.model_validate({"methods": {"dft": "PBE0/def2-SVP"}}), "methods"),
    ],
)
def test_a_folder_of_another_run(
    molecule: str, recipe: Recipe, what: str, refused: Refused, tmp_path: Path
) -> None:
    folder = RunFolder.at(tmp_path / "run")
    folder.create()
    claim_folder(Request(find_molecule(molecule), parse_budget("40ccsd"), recipe, folder))
    Path("plan.json").write_text(json.dumps(plan_document()))
    assert what in refused("run", "plan.json")
    ask = ("plan", "-m", "methanol", "-b", "40ccsd", "--workdir", "run")
    assert what in refused(*ask)
    assert what in refused(*ask, "--no-calibrate"), "its plan could not be run"


def test_a_target_tier_that_does_not_fit_into_memory(
    refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node of 2 GB: coupled cluster of toluene needs more, and Ray is never started."""
    small = Machine(nodes=1, cores=2, memory_bytes=2 * 10**9)
    for place in ("campaign", "planning.quoting"):
        monkeypatch.setattr(f"forgefield.platform.{place}.this_machine", lambda: small)
    for words in (("plan",), ("run",)):
        message = refused(*words, "-m", "toluene", "-b", "40ccsd")
        assert "needs about" in message
        assert "--no-calibrate" in message


def test_more_threads_than_cores(refused: Refused) -> None:
    Path("recipe.toml").write_text("[labels]\nthreads = 4096\n")
    said = refused("plan", "-m", "methanol", "-b", "40ccsd", "--recipe", "recipe.toml")
    assert "labels.threads = 4096" in said
