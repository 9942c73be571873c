"""Presets of the models: every one is a model, and effort scales its schedules alone."""

import pytest
from pydantic import ValidationError

from forgefield.storage.errors import InputError
from forgefield.trainers.presets import PRESETS, SCHEDULES, preset_of, with_changes, with_effort


@pytest.mark.parametrize("kind", PRESETS)
def test_a_preset_is_of_its_kind_and_keeps_its_best_by_validation(kind: str) -> None:
    preset = preset_of(kind)
    assert preset.model.kind == kind
    assert preset.model.elements == ()
    for name in SCHEDULES:
        fit = getattr(preset, name)
        assert fit.warm_up < fit.steps
        assert fit.steps % fit.evaluate_every == 0


@pytest.mark.parametrize("kind", PRESETS)
def test_standard_training_is_as_long_as_what_it_is_compared_with(kind: str) -> None:
    """Else a chain would win by its steps; patience is short of the whole alone."""
    preset = preset_of(kind)
    standard, chain = preset.standard, (preset.pretrain, preset.finetune)
    assert standard.steps == sum(fit.steps for fit in chain)
    assert 0.4 < standard.patience * standard.evaluate_every / standard.steps < 0.5


def test_effort_scales_steps_warm_up_and_evaluations() -> None:
    preset = preset_of("egnn")
    short = with_effort(preset, 0.1)
    for name in SCHEDULES:
        long, less = getattr(preset, name), getattr(short, name)
        share = less.steps / long.steps
        assert less.warm_up == pytest.approx(long.warm_up * share, abs=1)
        assert less.evaluate_every == pytest.approx(long.evaluate_every * share, abs=1)
        assert less.rate == long.rate
    assert short.standard.steps == preset.standard.steps // 10
    assert short.model == preset.model
    assert with_effort(preset, 1e-9).standard.steps == 1
    with pytest.raises(InputError, match="effort"):
        with_effort(preset, 0)


@pytest.mark.parametrize("kind", PRESETS)
@pytest.mark.parametrize("effort", [0.01, 0.05, 0.1, 1 / 3, 1.0, 4.0])
def test_fine_tuning_has_a_larger_part_of_a_shorter_chain(kind: str, effort: float) -> None:
    preset = preset_of(kind)
    made = with_effort(preset, effort)
    chain = made.pretrain.steps + made.finetune.steps
    assert chain == pytest.approx(made.standard.steps, abs=1)
    rooted = preset.finetune.steps * effort**0.5
    assert made.finetune.steps == pytest.approx(min(rooted, chain / 3), abs=1)
    if effort == 1:
        assert made == preset


def test_a_recipe_may_fine_tune_for_longer() -> None:
    longer = with_changes(preset_of("nequip"), {"finetune": {"steps": 44_000}})
    assert with_effort(longer, 1.0) == longer
    half = with_effort(longer, 0.5)
    assert (half.pretrain.steps, half.finetune.steps) == (22_000, 22_000)


def test_changes_replace_single_settings() -> None:
    preset = preset_of("nequip")
    found = with_changes(preset, {"finetune": {"rate": 1e-5}, "model": {"layers": 2}})
    assert found.finetune == preset.finetune.model_copy(update={"rate": 1e-5})
    assert found.model == preset.model.model_copy(update={"layers": 2})
    assert found.standard == preset.standard
    with pytest.raises(ValidationError):
        with_changes(preset, {"finetune": {"ratte": 1.0}})
    with pytest.raises(InputError, match="is no model"):
        preset_of("resnet")
