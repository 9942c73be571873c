"""How long the last training is, and what forecasts and splits make of it."""

import pytest

from forgefield.platform.forecasting.outcomes import Training
from forgefield.platform.planning.allocation import allocate
from forgefield.platform.planning.fitted import learnt_tiers
from forgefield.platform.planning.outlook import Outlook
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.planning.training_length import LONGEST, training_effort
from forgefield.storage.records import Tier
from forgefield.trainers.stages.asteroid import AsteroidSettings

SECONDS = {Tier.EMPIRICAL: 1e-4, Tier.XTB: 3e-3, Tier.DFT: 2.0, Tier.CCSD: 16.0}


@pytest.mark.parametrize(
    ("core_seconds", "effort"), [(200.0, 1.0), (16_500.0, 5.0), (1e7, LONGEST)]
)
def test_training_is_as_long_as_labels_deserve(core_seconds: float, effort: float) -> None:
    """Nine atoms take 495 core-seconds of a fast core at least."""
    assert training_effort(core_seconds, 9, Recipe()) == effort
    asked = Recipe(training=AsteroidSettings(effort=2.5))
    assert training_effort(core_seconds, 9, asked) == 2.5


def test_longer_stages_keep_their_shares() -> None:
    settings = AsteroidSettings()
    longer = settings.longer(4)
    for short, long in zip(settings.pretrain, longer.pretrain, strict=True):
        assert long.fit.steps == 4 * short.fit.steps
        assert long.fit.evaluate_every == 4 * short.fit.evaluate_every
        assert (long.fit.rate, long.fit.batch) == (short.fit.rate, short.fit.batch)
    assert longer.standard.steps == 4 * settings.standard.steps
    assert longer.finetune.steps == 2 * settings.finetune.steps
    assert settings.longer(1) == settings


def test_forecasts_are_of_the_training_that_the_budget_deserves() -> None:
    outlook = Outlook.before_any_training(9, SECONDS, Recipe())
    for core_seconds, effort in ((16_500.0, 5.0), (1e7, LONGEST)):
        split = outlook.split(core_seconds)
        counts = outlook.counts(split)
        told = outlook.posterior.aimed(Training(effort, 3)).forecast(counts)
        assert outlook.forecast(split, core_seconds) == told
        assert told.median < 0.8 * outlook.posterior.forecast(counts).median
        sure = outlook.at(core_seconds).chance_below(0.3, counts)
        assert outlook.chance(0.3, core_seconds) == sure > 0


def test_the_split_is_the_best_for_the_training_that_the_budget_deserves() -> None:
    """Long training uses more middle-tier labels up, so they are worth more of the money."""
    dear = SECONDS | {Tier.DFT: 10.0, Tier.CCSD: 400.0}
    outlook = Outlook.before_any_training(21, dear, Recipe())
    core_seconds = 250 * dear[Tier.CCSD]
    learnt = learnt_tiers(outlook.recipe)
    settings = outlook.recipe.allocation
    short = allocate(core_seconds, dear, settings, outlook.posterior, learnt=learnt)
    split = outlook.split(core_seconds)
    assert split.of(Tier.DFT) > 1.2 * short.of(Tier.DFT)
    counts = [outlook.counts(each) for each in (short, split)]
    by_short, by_long = outlook.at(core_seconds).log_errors(counts).mean(0)
    assert by_short - by_long > 0.02
    little = 20 * SECONDS[Tier.CCSD]
    plain = Outlook.before_any_training(21, SECONDS, Recipe())
    same = allocate(little, SECONDS, settings, plain.posterior, learnt=learnt)
    assert plain.split(little) == same, "no longer"
