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
        assert (less.steps, less.warm_up) == (long.steps // 10, long.warm_up // 10)
        assert less.steps / less.evaluate_every == long.steps / long.evaluate_every
        assert less.rate == long.rate
    assert short.model == preset.model
    assert with_effort(preset, 1e-9).standard.steps == 1
    with pytest.raises(InputError, match="effort"):
        with_effort(preset, 0)


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
