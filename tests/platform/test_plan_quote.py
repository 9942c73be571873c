"""The quote: machines, memory, disk, errors, other budgets, targets, and where costs come from."""

import io
import json
import platform
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from forgefield.labelers.molecules import find_molecule
from forgefield.platform.cli import main
from forgefield.platform.forecasting.outcomes import Training
from forgefield.platform.planning.budget import Budget, parse_budget, rounded_up
from forgefield.platform.planning.cost_records import Seen, cost_records
from forgefield.platform.planning.cost_store import remember_costs
from forgefield.platform.planning.expectations import LARGEST_SEEN
from forgefield.platform.planning.machine import Machine, machines_asked
from forgefield.platform.planning.outlook import Outlook
from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.plan_files import load_plan
from forgefield.platform.planning.planner import make_plan
from forgefield.platform.planning.quoting import estimated_costs, measured_costs
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.planning.resources import disk_quote
from forgefield.platform.planning.tier_quotes import TierCost
from forgefield.platform.planning.training_time import frame_time
from forgefield.platform.showing.plan_plot import error_curve
from forgefield.platform.showing.plan_screen import show_plan
from forgefield.storage.ledger.entries import TierTally
from forgefield.storage.records import Purpose, Tier
from forgefield.trainers.stages.asteroid import AsteroidSettings

HERE = Machine(nodes=1, cores=2, memory_bytes=16 * 10**9)
SECONDS = {Tier.EMPIRICAL: 1e-4, Tier.XTB: 3e-3, Tier.DFT: 2.0, Tier.CCSD: 16.0}
COSTS = {t: TierCost(s, s / 2, s * 2, 10**9) for t, s in SECONDS.items()}
ETHANOL = find_molecule("ethanol")
Platform = Callable[..., tuple[int, str]]


def quote(budget: str = "250ccsd", target: float | None = None, *elsewhere: Machine) -> Plan:
    return make_plan(
        ETHANOL, parse_budget(budget), COSTS, (HERE, *elsewhere), Recipe(), "run", target
    )


@pytest.fixture
def platform_command(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Platform:
    """The command in a folder and with a cache of its own: exit code and what it wrote."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "100")

    def call(*words: object) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["platform", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), capfd.readouterr().out

    return call


def test_every_quote_names_1_4_16_and_64_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forgefield.platform.planning.machine.this_machine", lambda: HERE)
    assert [(m.nodes, m.cores) for m in machines_asked(1, None)] == [(4, 2), (16, 2), (64, 2)]
    asked = machines_asked(8, 32)
    assert [(m.nodes, m.cores) for m in asked] == [(1, 32), (4, 32), (8, 32), (16, 32), (64, 32)]
    assert asked[0].memory_bytes == 16 * HERE.memory_bytes
    seconds = [wall.seconds or 0 for wall in quote("250ccsd", None, *asked).wall]
    assert seconds[0] > seconds[1]
    assert seconds[1:] == sorted(seconds[1:], reverse=True)


def test_memory_is_the_largest_label_times_the_workers() -> None:
    memory = quote().memory
    assert memory is not None
    assert (memory.label_bytes, memory.workers, memory.needed_bytes) == (10**9, 2, 2 * 10**9)
    assert memory.needed_bytes <= memory.node_bytes


def test_disk_bounds_what_a_finished_run_of_that_size_left() -> None:
    """4,062 labels of ethanol, as `resources` describes them: kB of frames, ledger, training."""
    bound = disk_quote(labels=4062, atoms=9, slots=1, recipe=Recipe())
    assert 2264 + 547 < bound.frames / 1000 < 3 * 2811
    assert 3682 < bound.ledger / 1000 < 3 * 3682
    assert bound.training / 1000 > 24_235
    assert bound.total == bound.frames + bound.ledger + bound.spool + bound.training


def test_the_trainings_of_rounds_are_in_the_quote() -> None:
    """From 16 training labels of the target tier on there are up to six of them."""
    frame = frame_time(ETHANOL, AsteroidSettings())
    console = Console(width=110, record=True, file=io.StringIO())
    small, large = (
        make_plan(ETHANOL, parse_budget(b), COSTS, (HERE,), Recipe(), "run", None, frame)
        for b in ("15ccsd", "250ccsd")
    )
    for plan, rounds in ((small, 0), (large, 6)):
        assert plan.training_time is not None
        assert plan.training_time.rounds == rounds
        show_plan(console, plan)
    assert large.disk is not None
    assert small.disk is not None
    assert large.disk.training > 2 * small.disk.training
    said = " ".join(console.export_text().replace("│", " ").split())
    assert said.count("after up to 6 rounds of") == 1
    assert load_again(large) == large


def load_again(plan: Plan) -> Plan:
    """Through JSON."""
    return Plan.model_validate_json(plan.model_dump_json())


def test_more_money_is_expected_to_bring_a_smaller_error() -> None:
    plan = quote()
    assert plan.forecast is not None
    half, double, tenfold = plan.alternatives
    assert [each.budget for each in plan.alternatives] == ["125ccsd", "500ccsd", "2500ccsd"]
    medians = [each.median for each in (half.error, plan.forecast, double.error, tenfold.error)]
    assert medians == sorted(medians, reverse=True)
    assert half.core_seconds == plan.cap / 2
    assert plan.forecast.low < plan.forecast.median < plan.forecast.high
    assert "can't be said" not in plan.expected_error


def test_a_budget_whose_half_is_too_small_has_no_such_alternative() -> None:
    assert [each.budget for each in quote("12ccsd").alternatives] == ["24ccsd", "120ccsd"]


def test_the_budget_for_a_target_reaches_it_and_a_smaller_one_does_not() -> None:
    outlook = Outlook.before_any_training(9, SECONDS, Recipe())
    core_seconds = outlook.budget_for(0.3)
    assert core_seconds is not None
    assert outlook.chance(0.3, core_seconds) >= 0.5
    assert outlook.chance(0.3, core_seconds / 1.1) < 0.5
    sure = outlook.budget_for(0.3, confidence=0.9)
    assert sure is None or sure > 2 * core_seconds
    assert outlook.budget_for(0.001) is None


def test_a_plan_says_what_its_target_needs_and_how_likely_it_is() -> None:
    plan = quote("250ccsd", 0.1)
    assert plan.target is not None
    assert plan.target.budget is not None
    again = quote(plan.target.budget, 0.1)
    assert again.target is not None
    assert again.target.chance >= 0.5 > plan.target.chance
    hopeless = quote("12ccsd", 0.002)
    assert hopeless.target is not None
    assert hopeless.target.budget is None
    assert any(said.startswith("Hopeless") for said in hopeless.warnings)


def test_a_foundation_model_is_named_only_where_there_is_one() -> None:
    assert any("foundation model" in said for said in quote("12ccsd").warnings)
    assert not any("foundation model" in said for said in quote("5000ccsd").warnings)
    silane = find_molecule("[SiH4]")
    plan = make_plan(silane, Budget(12, "ccsd"), COSTS, (HERE,), Recipe(), "run")
    assert not any("foundation model" in said for said in plan.warnings)


def test_money_that_no_plan_can_spend_is_said() -> None:
    assert any("stays unspent" in said for said in quote("1000000ccsd").warnings)


def test_that_no_molecule_so_large_is_behind_the_forecast_is_said() -> None:
    said = []
    for name in ("toluene", "aspirin", "CC(=O)NC(C)C(=O)NC"):
        asked = find_molecule(name), parse_budget("250ccsd")
        said.append(" ".join(make_plan(*asked, COSTS, (HERE,), Recipe(), "run").warnings))
    assert ["extrapolation" in each for each in said] == [False, False, True]
    assert "molecules of up to 21 atoms; for 22 it is" in said[-1]


def test_the_largest_molecule_behind_the_forecast_is_that_of_the_fit(repository: Path) -> None:
    """What `fit_priors.py` reads."""
    data = repository / "tests/benchmarks/planning"
    files = [json.loads((data / name).read_text()) for name in ("errors.json", "known.json")]
    systems = {record["system"] for file in files for record in file["records"]}
    names = {system.split("-")[0] for system in systems} - {"h2co"}
    atoms = [len(find_molecule(name).numbers) for name in names]
    assert max(atoms) == LARGEST_SEEN


@pytest.mark.parametrize("amount", [1234567.0, 0.0123, 20.0, 250.5])
def test_a_budget_is_written_as_it_is_read(amount: float) -> None:
    assert parse_budget(str(Budget(amount, "ccsd"))) == Budget(amount, "ccsd")


@pytest.mark.parametrize(("amount", "up"), [(46.2, 47), (0.0312, 0.032), (123.4, 130), (20, 20)])
def test_a_budget_is_rounded_up_to_two_digits(amount: float, up: float) -> None:
    assert rounded_up(amount) == up


def test_the_curve_passes_through_the_plan() -> None:
    plan = quote()
    assert plan.forecast is not None
    curve = error_curve(plan)
    budgets = np.log([core_seconds for core_seconds, _ in curve])
    medians = np.log([error.median for _, error in curve])
    here = np.interp(np.log(plan.cap), budgets, medians)
    assert here == pytest.approx(np.log(plan.forecast.median), abs=0.05)


def test_the_screen_says_all_of_it() -> None:
    console = Console(width=110, record=True, file=io.StringIO())
    show_plan(console, quote("20ccsd", 0.3, Machine(4, 2, 16 * 10**9)))
    said = console.export_text()
    for words in ("on 4 nodes", "2 workers", "at most", "0.3 kcal/mol/Å", "40ccsd", "8 of 10"):
        assert words in said, words
    assert "…" not in said, "a cell was cut"


def test_measured_costs_of_another_molecule_scale_the_next_quote(
    platform_command: Platform, tmp_path: Path
) -> None:
    general = estimated_costs(ETHANOL, Recipe())
    methanol, tally = find_molecule("methanol"), calibrated(0.5)
    assert remember_costs(cost_records(methanol, Recipe(), seen_in(tally))) == ""
    code, said = platform_command("plan", "-m", "ethanol", "-b", "30ccsd", "--no-calibrate")
    assert code == 0
    assert "scaled from 4 labels of 1 molecule measured here" in re.sub(r"[\s│]+", " ", said)
    plan = load_plan(tmp_path / "plan.json")
    was, now = general[Tier.CCSD], plan.tier(Tier.CCSD)
    assert 0.4 < now.core_seconds / was.core_seconds < 0.8
    assert now.high / now.low < was.high / was.low
    assert not plan.calibrated
    remember_costs(cost_records(ETHANOL, Recipe(), seen_in(tally)))
    known = estimated_costs(ETHANOL, Recipe())[Tier.CCSD]
    assert "measured here before" in known.source
    assert known.core_seconds == pytest.approx(tally[-1].mean_core_seconds)


def seen_in(tally: list[TierTally]) -> list[Seen]:
    """Labels of one thread on this host, by today's programs, with the mean of the tally."""
    return [
        Seen(
            row.tier,
            platform.node(),
            1,
            row.mean_core_seconds + sign * 0.05 * row.mean_core_seconds,
            Recipe().labeler(row.tier).version,
        )
        for row in tally
        for sign in (-1, -1, 1, 1)
    ]


def calibrated(speed: float) -> list[TierTally]:
    """Four labels a tier on a host that takes `speed` times what the formula says of methanol."""
    general = estimated_costs(find_molecule("methanol"), Recipe())
    return [
        TierTally(
            tier, Purpose.CALIBRATION, 4, 0, 0, 0, 0, 0,
            speed * general[tier].core_seconds, 0.05 * speed * general[tier].core_seconds, bought=4,
        )
        for tier in Tier
    ]  # fmt: skip


def test_the_range_of_measured_labels_is_their_own_not_a_constant() -> None:
    estimates = dict.fromkeys(Tier, TierCost(1.0, 0.4, 2.5, 10**9))
    rows = calibrated(1.0)
    found = measured_costs(estimates, rows)
    wide = measured_costs(estimates, rows, {Tier.CCSD: (3 * rows[-1].mean_core_seconds,) * 4})
    assert found[Tier.CCSD].source == "measured here (4 labels)"
    assert found[Tier.CCSD].measured == 4
    narrow = found[Tier.CCSD].high / found[Tier.CCSD].core_seconds
    assert 1.1 < narrow < 1.3
    assert wide[Tier.CCSD].high / wide[Tier.CCSD].core_seconds > 2


def test_a_target_alone_finds_the_budget_and_draws_it(
    platform_command: Platform, tmp_path: Path
) -> None:
    words = ["plan", "-m", "ethanol", "--target", "0.4kcal", "--no-calibrate", "--plot", "e.png"]
    code, said = platform_command(*words, "--json")
    assert code == 0
    plan = json.loads(said.splitlines()[-1])
    assert plan["target"]["asked"] == 0.4
    assert plan["target"]["budget"] == plan["budget"]
    assert plan["target"]["chance"] >= 0.5
    assert plan["forecast"]["median"] <= 0.4
    assert (tmp_path / "e.png").read_bytes().startswith(b"\x89PNG")


def test_a_plan_says_how_its_rounds_and_its_last_force_field_are_trained() -> None:
    plan = quote("250ccsd").model_copy(update={"training_effort": 4.0})
    assert plan.round_training == Training(2.0, 1)
    assert plan.last_training == Training(4.0, 3)
