"""Plans and recipes of the version before models named their elements are read as they are meant.

Both files were written by it: the recipe is its default one, the plan one for water.
"""

from pathlib import Path

from forgefield.platform.planning.plan_files import load_plan
from forgefield.platform.planning.recipe import load_recipe
from forgefield.trainers.model_settings import EGNNSettings

MODEL = EGNNSettings(layers=5, channels=128, radial=24, cutoff=5.0)


def test_an_older_recipe_trains_the_elements_of_its_frames(repository: Path) -> None:
    path = repository / "tests/older_version/recipe.toml"
    assert "elements = 100" in path.read_text()
    training = load_recipe(path).training
    assert training.model == MODEL
    assert training.model.elements == ()
    assert training.standard.optimiser == "adamw"
    assert training.c_grid == (1.0, None)
    assert training.members == 3


def test_an_older_plan_is_read(repository: Path) -> None:
    path = repository / "tests/older_version/plan.json"
    assert '"elements": 100' in path.read_text()
    plan = load_plan(path)
    assert plan.recipe.training.model == MODEL
    assert plan.recipe.training.members == 1, "as it was quoted"
    assert load_plan(path) == type(plan).model_validate_json(plan.model_dump_json())
