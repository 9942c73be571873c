"""What the default recipe shows in comments can be uncommented."""

import re
import tomllib
from pathlib import Path

import pytest

from forgefield.trainers.models import MODELS
from forgefield.trainers.stages.asteroid_settings import AsteroidSettings


@pytest.fixture(scope="module")
def recipe(repository: Path) -> str:
    return (repository / "deploy/recipes/default.toml").read_text(encoding="utf-8")


def training(text: str) -> AsteroidSettings:
    return AsteroidSettings.model_validate(tomllib.loads(text)["training"])


def test_every_other_model_is_an_example(recipe: str) -> None:
    found = re.findall(r"^# (training\.model = \{.*?\})", recipe, re.MULTILINE)
    kinds = {type(training(line).model) for line in found}
    assert kinds == set(MODELS) - {type(AsteroidSettings().model)}


def test_the_score_matching_rung_is_one(recipe: str) -> None:
    start = recipe.index("# [[training.pretrain]]")
    lines = recipe[start : recipe.index("[training.finetune]")].splitlines()
    (rung,) = training("\n".join(line.removeprefix("# ") for line in lines)).pretrain
    assert (rung.objective, rung.temperature) == ("scores", 500.0)


def test_a_rung_may_have_a_grid_of_its_own(recipe: str) -> None:
    own = re.sub(r"^# (c_grid = )", r"\1", recipe, flags=re.MULTILINE)
    assert [rung.c_grid for rung in training(own).pretrain] == [None, (0.5, 1.0, 2.0)]
