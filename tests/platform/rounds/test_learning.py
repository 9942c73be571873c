"""What a round trains with, and the errors that it tells the forecast."""

from pathlib import Path

import pytest

from forgefield.platform.forecasting.counts import Counts
from forgefield.platform.forecasting.outcomes import Kind, Training
from forgefield.platform.planning.round_settings import RoundSettings
from forgefield.platform.planning.training_fits import shorter
from forgefield.platform.rounds.learning import best_error, outcomes_of
from forgefield.storage.records import Tier
from forgefield.storage.units import EV_PER_KCAL_PER_MOL
from forgefield.trainers.stages.asteroid_settings import (
    AsteroidSettings,
    CurvePoint,
    PhaseSettings,
    TrainingOutcome,
    Trial,
)
from forgefield.trainers.stages.tasks import PhaseResult, StageResult

COUNTS = Counts(40, 120, 800)


def stage(name: str, kcal: float | None) -> StageResult:
    validation = None if kcal is None else kcal * EV_PER_KCAL_PER_MOL
    phase = PhaseResult(
        frames=40, steps=9, best_step=9, validation=validation, gamma=None, median_bias=None
    )
    return StageResult(
        name=name,
        output=Path(name),
        key="k",
        dataset="d",
        phases=(phase,),
        validation=validation,
        wall_s=1.0,
    )


def trial(tiers: tuple[Tier, ...], kcal: float) -> Trial:
    name = "-".join(tiers)
    return Trial(
        c=None,
        tiers=tiers,
        gammas=(None,),
        pretrain=stage(f"pretrain-{name}", None),
        finetune=stage(f"finetune-{name}", kcal),
    )


def point(kind: str, fraction: float, frames: int, kcal: float) -> CurvePoint:
    return CurvePoint(
        kind=kind,  # type: ignore[arg-type]
        fraction=fraction,
        frames=frames,
        validation=kcal * EV_PER_KCAL_PER_MOL,
        force_field=Path("x"),
    )


OUTCOME = TrainingOutcome(
    baseline=stage("standard-1", 2.0),
    trials=(trial((Tier.XTB,), 1.2), trial((Tier.XTB, Tier.DFT), 0.9)),
    chosen=1,
    curved=1,
    curve=(
        point("standard", 0.5, 20, 3.0),
        point("standard", 1.0, 40, 2.0),
        point("finetuned", 0.5, 20, 1.3),
        point("finetuned", 1.0, 40, 0.9),
    ),
)


def test_every_error_is_told_once_with_the_labels_behind_it() -> None:
    found = {(o.kind, o.counts): o.error for o in outcomes_of(OUTCOME, COUNTS, 12, 0.5)}
    assert found == {
        (Kind.SCRATCH, Counts(20)): pytest.approx(3.0),
        (Kind.SCRATCH, Counts(40)): pytest.approx(2.0),
        (Kind.TUNED, Counts(20, 120, 800)): pytest.approx(1.3),
        (Kind.TUNED, Counts(40, 0, 800)): pytest.approx(1.2),
        (Kind.TUNED, Counts(40, 120, 800)): pytest.approx(0.9),
    }
    assert len(outcomes_of(OUTCOME, COUNTS, 12, 0.5)) == 5
    assert {o.frames for o in outcomes_of(OUTCOME, COUNTS, 12, 0.5)} == {12}
    trainings = {outcome.training for outcome in outcomes_of(OUTCOME, COUNTS, 12, 0.5)}
    assert trainings == {Training(effort=0.5, members=1)}
    assert best_error(OUTCOME) == pytest.approx(0.9)


def test_a_round_trains_shorter_without_weights_and_the_recipe_stays() -> None:
    recipe = AsteroidSettings()
    weighted = PhaseSettings(tiers=(Tier.DFT,), fit=recipe.pretrain[0].fit, c_grid=(0.5, 1.0))
    recipe = recipe.model_copy(update={"pretrain": (*recipe.pretrain, weighted)})
    short = shorter(recipe, RoundSettings(effort=0.25, curve=(0.3,)))
    assert (short.c_grid, short.curve) == ((None,), (0.3,))
    assert all(phase.c_grid is None for phase in short.pretrain)
    assert short.finetune.steps == recipe.finetune.steps // 2, "the root of it"
    assert short.standard.warm_up == recipe.standard.warm_up // 4
    assert [phase.fit.steps for phase in short.pretrain] == [
        phase.fit.steps // 4 for phase in recipe.pretrain
    ]
    assert shorter(recipe, RoundSettings(effort=1.0)).finetune == recipe.finetune
    assert short.model == recipe.model
