"""Plans and recipes of the version before models named their elements are read as they are meant.

Both files were written by it: the recipe is its default one, the plan one for water.
"""

import json
from pathlib import Path

from forgefield.platform.planning.plan_files import load_plan
from forgefield.platform.planning.recipe import load_recipe
from forgefield.platform.planning.training_length import is_deserved, training_effort
from forgefield.trainers.model_settings import EGNNSettings, NequIPSettings
from forgefield.trainers.stages.asteroid_settings import AsteroidSettings

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


def test_an_older_plan_is_read(repository: Path, tmp_path: Path) -> None:
    path = repository / "tests/older_version/plan.json"
    assert '"elements": 100' in path.read_text()
    plan = load_plan(path)
    assert plan.recipe.training.model == MODEL
    assert plan.recipe.training.members == 1, "as it was quoted"
    again = tmp_path / "plan.json"
    again.write_text(plan.model_dump_json())
    assert load_plan(again) == plan


def test_an_older_plan_of_much_money_trains_as_it_did(repository: Path, tmp_path: Path) -> None:
    """Its effort was always 1, and is written down when the run goes on."""
    document = json.loads((repository / "tests/older_version/plan.json").read_text())
    for part in ("core_seconds", "low", "high"):
        document["tiers"][3][part] *= 1000
    document |= {"unit_core_seconds": 16_000.0, "cap_micro": 320_000_000_000}
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(document))
    plan = load_plan(path)
    assert plan.training_effort == 1
    assert training_effort(plan.cap, 3, plan.recipe) > 20
    path.write_text(plan.model_dump_json())
    assert load_plan(path) == plan


def test_a_length_of_training_that_was_reckoned_otherwise_holds(repository: Path) -> None:
    """Versions took 30.0, 51.6 and 55.0 core-seconds an atom for the usual schedule."""
    recipe = load_plan(repository / "tests/older_version/plan.json").recipe
    cap, atoms = 3_000.0, 3
    for seconds in (30.0, 51.6, 55.0):
        assert is_deserved(round(0.15 * cap / (seconds * atoms), 2), cap, atoms, recipe)
    assert not is_deserved(1000.0, cap, atoms, recipe)
    asked = recipe.model_copy(update={"training": AsteroidSettings(effort=2.0)})
    assert is_deserved(2.0, cap, atoms, asked)
    assert not is_deserved(5.0, cap, atoms, asked)


def test_an_older_plan_of_nequip_trains_it_without_products(
    repository: Path, tmp_path: Path
) -> None:
    document = json.loads((repository / "tests/older_version/plan.json").read_text())
    document["recipe"]["training"]["model"] = {"kind": "nequip", "layers": 3}
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(document))
    model = load_plan(path).recipe.training.model
    assert isinstance(model, NequIPSettings)
    assert (model.layers, model.products) == (3, 0)
