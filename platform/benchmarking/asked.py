"""What is asked of a benchmark, and the preset that its recipe makes of the model's own."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from forgefield.platform.planning.problems import describe
from forgefield.storage.errors import InputError
from forgefield.trainers.presets import SCHEDULES, Preset, preset_of, with_changes


@dataclass(frozen=True, slots=True)
class Asked:
    """Options that both benchmarks share.

    `unit` is of energies in all files, `cheap_unit` in the cheap one where that differs.
    `validation` and `test_frames` replace the draw's numbers, `recipe` is TOML that changes the
    model's preset. `hours` replace the efforts by the one that ends in time.
    """

    accurate: Path
    cheap: Path
    test: Path | None
    out: Path
    model: str = "nequip"
    recipe: Path | None = None
    seeds: int = 3
    efforts: tuple[float, ...] = (1.0,)
    hours: float | None = None
    validation: int | None = None
    test_frames: int | None = None
    redraw: bool = False
    unit: str | None = None
    cheap_unit: str | None = None
    cheap_unit_option: str = "--dft-unit"
    trust: bool = False
    parallel: int | None = None
    device: str = "auto"


def preset_for(asked: Asked) -> Preset:
    """The model's preset with the recipe's changes; `InputError` for what there isn't."""
    preset = preset_of(asked.model)
    _refuse_unbuilt(preset)
    if asked.recipe is None:
        return preset
    try:
        changes = tomllib.loads(asked.recipe.read_text(encoding="utf-8"))
        _refuse_another_model(changes, asked)
        return with_changes(preset, changes)
    except OSError as error:
        raise InputError(f"Can't read the recipe {asked.recipe}: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"The recipe {asked.recipe} is not TOML: {error}.") from error
    except ValidationError as error:
        raise InputError(f"{_problems(asked, error)} {_permitted(preset)}") from error


def _problems(asked: Asked, error: ValidationError) -> str:
    """What is wrong with a recipe; what there isn't by its name, all else as pydantic says it."""
    absent = []
    for problem in error.errors(include_url=False):
        table, *inside = map(str, problem["loc"])
        if problem["type"] != "extra_forbidden":
            return f"The recipe {asked.recipe} has {describe(error)}."
        absent.append(f"{inside[-1]} in [{table}]" if inside else f"table [{table}]")
    return f"The recipe {asked.recipe} has what there isn't: {', '.join(absent)}."


def _permitted(preset: Preset) -> str:
    """All tables of a recipe and their keys in a sentence."""
    model, fit = (", ".join(type(part).model_fields) for part in (preset.model, preset.standard))
    schedules = ", ".join(f"[{name}]" for name in SCHEDULES)
    return f"A recipe may have [model] with {model}, and {schedules}, each with {fit}."


def _refuse_unbuilt(preset: Preset) -> None:
    from forgefield.trainers.models import MODELS

    if type(preset.model) not in MODELS:
        raise InputError(f"There is no model {preset.model.kind} yet. Choose another --model.")


def _refuse_another_model(changes: Mapping[str, Any], asked: Asked) -> None:
    model = changes.get("model")
    kind = model.get("kind", asked.model) if isinstance(model, dict) else asked.model
    if kind != asked.model:
        raise InputError(
            f"The recipe {asked.recipe} is for the model {kind}, and --model is {asked.model}. Say "
            f"--model {kind}, or leave kind out of the recipe."
        )
