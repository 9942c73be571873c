"""What the last training takes: its frames by hand, and its pace from run to run."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from forgefield.labelers.molecules import find_molecule
from forgefield.platform.planning.budget import parse_budget
from forgefield.platform.planning.cost_scaling import Scaled
from forgefield.platform.planning.cost_store import known_costs, remember_costs
from forgefield.platform.planning.machine import Machine
from forgefield.platform.planning.plan import Plan
from forgefield.platform.planning.planner import make_plan
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.planning.round_settings import RoundSettings
from forgefield.platform.planning.tier_quotes import TierCost
from forgefield.platform.planning.training_fits import fits_of
from forgefield.platform.planning.training_time import (
    FRAME_SECONDS_PER_ATOM,
    frame_time,
    pace_record,
    training_time,
)
from forgefield.storage.records import Tier
from forgefield.trainers.settings import FitSettings
from forgefield.trainers.stages.asteroid import (
    AsteroidSettings,
    PhaseSettings,
    TrainingOutcome,
    train,
)
from forgefield.trainers.stages.asteroid_settings import Chain, Trial
from forgefield.trainers.stages.tasks import PhaseResult, StageResult, StageTask

ETHANOL, ASPIRIN = find_molecule("ethanol"), find_molecule("aspirin")
SETTINGS = AsteroidSettings(
    standard=FitSettings(steps=100, batch=4),
    pretrain=(
        PhaseSettings(tiers=(Tier.XTB,), fit=FitSettings(steps=1000, batch=10)),
        PhaseSettings(tiers=(Tier.DFT,), fit=FitSettings(steps=200, batch=5)),
    ),
    finetune=FitSettings(steps=50, batch=2),
    c_grid=(1.0, None),
    curve=(0.5,),
    members=3,
)


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def result(steps: int, seconds: float, *, reused: bool = False) -> StageResult:
    phase = PhaseResult(
        frames=1000, steps=steps, best_step=1, validation=0.1, gamma=None, median_bias=None
    )
    return StageResult(
        name="", output=Path(), key="", dataset="", phases=(phase,), validation=0.1,
        wall_s=seconds, reused=reused,
    )  # fmt: skip


def outcome(*, reused: bool = False) -> TrainingOutcome:
    def climbed(*tiers: Tier, steps: int, seconds: float) -> Trial:
        return Trial(
            c=None,
            tiers=tiers,
            gammas=(None,),
            pretrain=result(steps, seconds, reused=reused),
            finetune=result(50, 99.0),
        )

    return TrainingOutcome(
        baseline=result(80, 3.2, reused=reused),
        trials=(
            climbed(Tier.XTB, steps=1000, seconds=110.0),
            climbed(Tier.XTB, Tier.DFT, steps=200, seconds=8.0),
        ),
        chosen=0,
        curve=(),
    )


SECONDS = (1e-4, 3e-3, 40.0, 600.0)


def test_frames_of_all_stages_and_of_the_longest_way() -> None:
    """Four standard trainings; twice both rungs, each fine-tuned; a curve and two others."""
    standard, rungs, tuning = 400, (10_000, 1000), 100
    frames = 4 * standard + 2 * (sum(rungs) + 2 * tuning) + tuning + 2 * (sum(rungs) + tuning)
    frame = frame_time(ETHANOL, SETTINGS)
    assert frame.core_seconds == pytest.approx(9 * FRAME_SECONDS_PER_ATOM)
    alone = training_time(SETTINGS, frame, Machine(1, 1, 10**9))
    assert alone.core_seconds == pytest.approx(frames * frame.core_seconds)
    assert alone.wall_s == alone.core_seconds
    pair = training_time(SETTINGS, frame, Machine(1, 2, 10**9))
    assert pair.wall_s == alone.wall_s / 2
    longest = standard + sum(rungs) + 2 * tuning + sum(rungs) + tuning
    many = training_time(SETTINGS, frame, Machine(8, 8, 10**9))
    assert many.wall_s == pytest.approx(longest * frame.core_seconds)


def test_rounds_train_too() -> None:
    """Half the steps, no weights, one network, a curve of one; and two more of a committee."""
    rounds = RoundSettings(effort=0.5, curve=(0.5,), committee=3)
    frame, machine = frame_time(ETHANOL, SETTINGS), Machine(1, 2, 10**9)
    found = training_time(SETTINGS, frame, machine, rounds, 6)
    tuning = SETTINGS.longer(0.5).finetune.steps * 2
    frames = 2 * 200 + (5000 + 500) + 2 * tuning + tuning + 2 * tuning
    assert found.rounds == 6
    assert found.round_core_seconds == pytest.approx(frames * frame.core_seconds)
    assert found.round_wall_s == pytest.approx((5000 + 500 + 2 * tuning) * frame.core_seconds)
    none = training_time(SETTINGS, frame, machine, rounds, 0)
    assert (none.rounds, none.round_core_seconds, none.round_wall_s) == (0, 0.0, 0.0)
    assert none.core_seconds == found.core_seconds


def test_a_rung_with_a_grid_of_its_own_is_climbed_that_often() -> None:
    low, high = SETTINGS.pretrain
    branching = SETTINGS.model_copy(
        update={"pretrain": (low, high.model_copy(update={"c_grid": (0.5, 1.0, None)}))}
    )
    frame, machine = frame_time(ETHANOL, SETTINGS), Machine(1, 1, 10**9)
    more = training_time(branching, frame, machine).core_seconds
    less = training_time(SETTINGS, frame, machine).core_seconds
    assert more - less == pytest.approx(4 * (1000 + 100) * frame.core_seconds)


def test_fits_are_those_that_a_training_asks_for() -> None:
    """Where the last rung is chosen; its own grid branches from the one below."""
    low, high = SETTINGS.pretrain
    high = high.model_copy(update={"c_grid": (0.5, 1.0, None)})
    settings = SETTINGS.model_copy(update={"pretrain": (low, high)})
    asked: list[StageTask] = []

    def runner(chains: Sequence[Chain]) -> list[tuple[StageResult, ...]]:
        asked.extend(task for chain in chains for task in chain)
        return [tuple(ended(task) for task in chain) for chain in chains]

    def ended(task: StageTask) -> StageResult:
        found = result(1, 1.0)
        return found.model_copy(update={"validation": 0.1 if "dft" in task.name else 0.2})

    train(Path("frames"), Path("out"), settings, runner, cheap_tiers=(Tier.XTB, Tier.DFT))
    expected = Counter(phase.fit.steps for task in asked for phase in task.phases)
    assert Counter(fit.steps for fit in fits_of(settings)) == expected
    assert len(fits_of(AsteroidSettings())) == 21, "stages of a campaign with the default recipe"


def test_what_a_frame_took_is_kept_and_carried_to_other_molecules() -> None:
    """121.2 s of 320 + 10,000 + 1,000 frames; a larger molecule takes in proportion."""
    record = pace_record(ETHANOL, SETTINGS, outcome())
    assert record is not None
    assert record.core_seconds == pytest.approx(121.2 / 11_320)
    assert remember_costs([record]) == ""
    assert len(known_costs(record.method, record.version)) == 1
    own, other = frame_time(ETHANOL, SETTINGS), frame_time(ASPIRIN, SETTINGS)
    assert own.core_seconds == pytest.approx(record.core_seconds)
    guess = ASPIRIN.numbers.__len__() * FRAME_SECONDS_PER_ATOM
    assert 1.2 < other.core_seconds / guess < record.core_seconds / record.predicted
    assert own.high / own.low < other.high / other.low < 2.5**2
    assert "torch" in record.version
    remember_costs([record.model_copy(update={"labels": 2, "core_seconds": 0.02})])
    assert frame_time(ETHANOL, SETTINGS).core_seconds == 0.02, "a training that was resumed"


def test_another_torch_makes_the_pace_less_certain(monkeypatch: pytest.MonkeyPatch) -> None:
    record = pace_record(ETHANOL, SETTINGS, outcome())
    assert record is not None
    remember_costs([record])
    own = frame_time(ETHANOL, SETTINGS)
    name = "forgefield.platform.planning.training_time.version"
    monkeypatch.setattr(name, lambda package: f"next {package}")
    later = frame_time(ETHANOL, SETTINGS)
    guess = 9 * FRAME_SECONDS_PER_ATOM
    assert guess < later.core_seconds < own.core_seconds
    assert own.high / own.low < later.high / later.low < 2.5**2


def test_trainings_that_were_found_say_nothing_of_the_pace() -> None:
    assert pace_record(ETHANOL, SETTINGS, outcome(reused=True)) is None


def test_rounds_wait_for_each_other_on_any_number_of_nodes() -> None:
    """A quarter of the labels, half of them, all of them: three trainings in turn."""
    assert RoundSettings().in_turn(6) == 3
    assert RoundSettings(first_share=1.0).in_turn(6) == 1
    assert RoundSettings(growth=0.1).in_turn(6) == 6
    costs = {tier: TierCost(s, s, s, 10**9, 2) for tier, s in zip(Tier, SECONDS, strict=True)}
    machines = [Machine(nodes, 16, nodes * 16 * 10**9) for nodes in (1, 1000)]
    recipe, frame = Recipe(), Scaled(0.005, 0.004, 0.006)
    asked = (ETHANOL, parse_budget("250ccsd"), costs, machines, recipe, "run")
    (alone, many), plain = (make_plan(*asked, frame=each).wall for each in (frame, None))
    training = make_plan(*asked, frame=frame).training_time
    assert training is not None
    assert plain[1].seconds is not None
    assert plain[1].seconds < 0.5 * training.round_wall_s
    assert many.seconds == pytest.approx(3 * (training.round_wall_s + SECONDS[-1]))
    assert alone.seconds == plain[0].seconds > many.seconds


@pytest.mark.parametrize("budget", ["12ccsd", "40ccsd", "250ccsd", "2000ccsd"])
def test_more_money_never_takes_less_time(budget: str) -> None:
    """Every budget of a quote counts its own rounds, as a plan of that budget alone does."""
    costs = {tier: TierCost(s, s, s, 10**9, 2) for tier, s in zip(Tier, SECONDS, strict=True)}
    machine, frame = Machine(1, 64, 10**12), Scaled(0.005, 0.004, 0.006)

    def quote(asked: str) -> Plan:
        return make_plan(
            ETHANOL, parse_budget(asked), costs, (machine,), Recipe(), "run", frame=frame
        )

    plan = quote(budget)
    rows = [(other.core_seconds, other.wall_s) for other in plan.alternatives]
    rows.append((plan.cap, plan.wall[0].seconds))
    taken = [seconds for _, seconds in sorted(rows)]
    assert taken == sorted(taken)
    for other in plan.alternatives:
        assert other.wall_s == quote(other.budget).wall[0].seconds
