"""What is said where a plan buys too few labels for rounds, so that no rule can end it early."""

from forgefield.platform.planning.allocation import TARGET
from forgefield.platform.planning.recipe import Recipe
from forgefield.platform.screen.wording import UNIT, counted


def at_once_words(recipe: Recipe, bought: int, target: float | None) -> str:
    """A full sentence; nothing where there are rounds, or where no rule is on.

    `bought` are target-tier labels to train on, `target` is an error in kcal/mol/Å.
    """
    rules = recipe.stopping
    reasons = [f"reaching {target:g} {UNIT}"] if target is not None else []
    if rules.least_gain or rules.least_regret:
        reasons.append("too small a gain")
    if recipe.rounds.number(bought) or not reasons:
        return ""
    few = f"{counted(bought, f'{TARGET} label')} to train on are too few for rounds"
    why = f"{few} (rounds.fewest = {recipe.rounds.fewest})"
    if bought >= recipe.rounds.fewest:
        why = "the recipe wants no rounds (rounds.most_rounds = 1)"
    return (
        f"All labels are bought before anything is trained, so {' or '.join(reasons)} can't end it "
        f"early: {why}."
    )
