"""Numbers, paths and sections of recipes that can't be are refused by name, and shortly."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import spring_files as springs
from pydantic import ValidationError
from typer.testing import CliRunner

from forgefield.platform.cli import app
from forgefield.platform.forecasting.error_model import ErrorModelSettings, Posterior
from forgefield.platform.planning.allocation import (
    TARGET,
    AllocationSettings,
    allocate,
    fewest_target_labels,
)
from forgefield.platform.planning.budget import Prices, parse_budget, worth_micro
from forgefield.platform.planning.recipe import load_recipe
from forgefield.platform.pools.replayed import most_judged
from forgefield.platform.screen.wording import three_digits
from forgefield.storage.errors import InputError
from forgefield.storage.records import Purpose, Tier

REPLAY = '[replay.ccsd]\nfile = "{file}"\nmethod = "SPRINGS"\nunit = "kcal/mol"\nprice = {price}\n'
SCORES = """
[[training.pretrain]]
tiers = ["dft"]
objective = "scores"
temperature = 500
[training.pretrain.fit]
steps = 10"""
Refused = Callable[..., str]


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Refused:
    """The message of a quote that must fail, with this recipe."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")

    def call(recipe: str, *words: str, options: Sequence[str] = ("--no-calibrate",)) -> str:
        Path("r.toml").write_text(recipe)
        ask = ["plan", "-m", "formaldehyde", "-b", "40ccsd", "--recipe", "r.toml", *options]
        answer = CliRunner().invoke(app, [*ask, *words])
        assert answer.exit_code != 0, answer.output
        if isinstance(answer.exception, SystemExit):
            return answer.output
        assert isinstance(answer.exception, InputError), repr(answer.exception)
        assert not Path("plan.json").exists()
        said = str(answer.exception)
        assert len(said) < 600, said
        return said

    return call


@pytest.mark.parametrize(
    ("recipe", "key"),
    [
        ("[training]\nmember = 2", "there is no such setting; did you mean members?"),
        ("[prices]\nbread = 2", "there is no such setting; prices has core_hour, "),
        ("trainning = 2", "did you mean training?"),
        ("[training]\nmembers = 0", "1 problem: training.members = 0: must be at least 1"),
        ('[training]\nmembers = "two"\n[labels]\nthreads = 0', "2 problems: "),
        ('[labels]\nthreads = "two"', "labels.threads = two: must be a whole number"),
        ("[allocation]\nvalidation_share = 0.7", "must be below 0.5"),
        ("[prices]\ncore_hour = inf", "prices.core_hour = inf"),
        ("[training]\nmodel = 3", "training.model = 3"),
        ('[training]\nmodel = "egn"', "egnn"),
        ('[training.model]\nkind = "egnn"\nelements = [200]', "elements.0 = 200"),
        (f"{SCORES}\npatience = 3", "leave out patience"),
        (f"{SCORES}\n[sampling]\ntemperatures = [300, 500]", "temperatures are 300, 500 K"),
        (f"{SCORES}\n[sampling]\ntemperatures = [500]", "rounds.most_rounds = 1"),
        ("[prices]\ncore_hour = 1e-300", "prices.core_hour = 1e-300"),
        (REPLAY.format(file="a.npz", price="inf"), "replay.ccsd.price = inf"),
        (REPLAY.format(file="a.npz", price="nan"), "replay.ccsd.price = nan"),
        (REPLAY.format(file="a.npz", price="1e300"), "replay.ccsd.price = 1e+300"),
        (REPLAY.format(file="a.npz", price="-1"), "replay.ccsd.price = -1"),
        (REPLAY.format(file="~nosuchuser/x", price="1"), "replay.ccsd.file = ~nosuchuser/x"),
        (REPLAY.format(file=r"a\u0000b", price="1"), "replay.ccsd.file = a"),
        ("methods = 5\n" + REPLAY.format(file="a.npz", price="1"), "methods = 5"),
        ("methods = [1]\n" + REPLAY.format(file="a.npz", price="1"), "methods = [1]"),
        (REPLAY.format(file="a", price="1").replace("ccsd", "cccsd"), "replay.cccsd"),
        ('[replay.ccsd]\nfile = "a"\nmethod = "A"', "replay.ccsd.price"),
        ("[forecast]\natoms_power = inf", "forecast.atoms_power = inf"),
        ("[forecast]\nscratch = [1e300, 100.0]", "forecast.scratch.0 = 1e+300"),
        ("[forecast]\nscratch = [1.0, 100.0]", "forecast.scratch.1 = 100.0"),
        ("[forecast]\nframe_spread = inf", "forecast.frame_spread = inf"),
        ("[allocation]\nmost_target = 3", "most_target = 3 is less than the 10 labels"),
        ("[allocation]\nvalidation_share = .49\nholdout_share = .49", "validation_share"),
        ("[allocation]\nfewest_holdout = 100", "fewest_holdout = 100 is more than most_holdout"),
        ("[allocation]\ncheap_cost_share = .49\nspare_share = .4", "little for the dear"),
    ],
)
def test_what_a_recipe_cant_say(recipe: str, key: str, refused: Refused) -> None:
    said = refused(recipe.replace("= .4", "= 0.4"))
    assert key in said
    assert "r.toml" in said


def test_a_budget_beyond_counting_is_refused() -> None:
    costs = dict.fromkeys(Tier, 1e12)
    with pytest.raises(InputError, match=r"40ccsd|1000000000ccsd"):
        worth_micro(parse_budget("1000000000ccsd"), costs, Prices())
    assert len(three_digits(1e300)) < 10
    assert three_digits(1234567.0) == "1,234,567"


PRIOR = Posterior.of([], ErrorModelSettings(), 6).thinned(200)


@pytest.mark.parametrize("fewest", [(1, 1), (2, 4), (2, 40), (40, 2), (10, 10)])
@pytest.mark.parametrize("shares", [(0.15, 0.2), (0.4, 0.4), (0.01, 0.49)])
def test_every_purpose_gets_its_fewest(
    fewest: tuple[int, int], shares: tuple[float, float]
) -> None:
    """Whatever settings are accepted, from the least plan on."""
    settings = AllocationSettings(
        fewest_validation=fewest[0],
        fewest_holdout=fewest[1],
        validation_share=shares[0],
        holdout_share=shares[1],
    )
    costs = {Tier.EMPIRICAL: 1e-6, Tier.XTB: 1e-6, Tier.DFT: 0.1, Tier.CCSD: 1.0}
    least = fewest_target_labels(settings)
    for labels in range(least, least + 60):
        found = allocate(labels * 1.3, costs, settings, PRIOR)
        assert found.of(TARGET, Purpose.TRAIN) >= settings.fewest_train
        assert found.of(TARGET, Purpose.VALIDATION) >= fewest[0]
        assert found.of(TARGET, Purpose.HOLDOUT) >= fewest[1]
        judged = found.of(TARGET) - found.of(TARGET, Purpose.TRAIN)
        assert judged <= most_judged(settings)


def test_accepted_settings_are_accepted_again(tmp_path: Path) -> None:
    """What was refused here must not be the default."""
    (tmp_path / "r.toml").write_text("[allocation]\nmost_target = 17\nholdout_share = 0.3\n")
    assert load_recipe(tmp_path / "r.toml").allocation.most_target == 17
    with pytest.raises(ValidationError, match="most_target"):
        AllocationSettings(most_target=9)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ("", "offer 19 geometries"),
        ("[allocation]\ncheap_labels = 5\nmost_target = 40\n", "configurations|geometries"),
        ('[replay]\ntest = "nowhere.npz"\n', "nowhere.npz"),
        ("[replay]\ntest_frames = 5000\n", "has 50 distinct frames"),
    ],
)
def test_quotes_of_replays_that_cant_run(more: str, why: str, refused: Refused) -> None:
    springs.write(Path("a.npz"), springs.distortions(50, 1), springs.ACCURATE)
    recipe = more + REPLAY.format(file="a.npz", price="300.0")
    small = "" if "[allocation]" in more else "[allocation]\ncheap_labels = 5\nmost_target = 11\n"
    said = refused(recipe + (small if more else ""))
    assert re.search(why, said), said


def test_a_quote_of_a_replay_that_can_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    springs.write(Path("a.npz"), springs.distortions(200, 1), springs.ACCURATE)
    allocation = "[allocation]\ncheap_labels = 20\nmost_target = 12\nmiddle_per_target = 1.0\n"
    Path("r.toml").write_text(allocation + REPLAY.format(file="a.npz", price="300.0"))
    ask = ["plan", "-m", "formaldehyde", "-b", "40ccsd", "--recipe", "r.toml", "--no-calibrate"]
    answer = CliRunner().invoke(app, ask)
    assert answer.exit_code == 0, answer.exception
    assert json.loads(Path("plan.json").read_text())["cap_micro"] == 40 * 300 * 10**6


def test_places_that_cant_be_written_are_found_before_anything_is_paid(refused: Refused) -> None:
    Path("taken").mkdir()
    assert "nowhere" in refused("", "--out", "nowhere/plan.json", options=())
    assert "Can't write" in refused("", "--plot", "nowhere/plot.png", options=())
    assert "is a directory" in refused("", "--out", "taken", options=())
    assert not Path("runs").exists()


@pytest.mark.parametrize("words", [("--nodes", "1" + "0" * 9), ("--cores-per-node", "1" + "0" * 9)])
def test_clusters_that_nobody_has(words: tuple[str, str], refused: Refused) -> None:
    assert words[0] in refused("", *words)
    assert "100000" in refused("", *words) or "4096" in refused("", *words)
