"""The budget of a plan that was asked for by its error alone."""

from collections.abc import Mapping

from forgefield.platform.planning.allocation import TARGET
from forgefield.platform.planning.budget import Budget, rounded_up
from forgefield.platform.planning.outlook import Outlook
from forgefield.platform.planning.quoting import estimated_costs
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.screen.wording import UNIT
from forgefield.storage.errors import InputError
from forgefield.storage.records import Molecule, Tier


def budget_for_target(
    molecule: Molecule, recipe: Recipe, target: float, imported: Mapping[Tier, int]
) -> Budget:
    """In target-tier labels: the least whose median forecast is `target` kcal/mol/Å or less.

    At estimated costs, beside `imported` training labels; labels are the unit, so that a slower
    machine changes little. Raises `InputError` where no budget is expected to reach it.
    """
    label_cost = {t: cost.core_seconds for t, cost in estimated_costs(molecule, recipe).items()}
    outlook = Outlook.before_any_training(len(molecule.numbers), label_cost, recipe, imported)
    core_seconds = outlook.budget_for(target)
    if core_seconds is None:
        most = recipe.allocation.most_target
        raise InputError(
            f"No budget is expected to bring the error to {target:g} {UNIT}: a plan has "
            f"{most:,} target labels at most (allocation.most_target in the recipe), and they "
            "aren't enough. Give a larger --target, or a --budget to see what it brings."
        )
    return Budget(rounded_up(core_seconds / label_cost[TARGET]), "ccsd")
