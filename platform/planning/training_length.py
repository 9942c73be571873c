"""How long a campaign trains: longer where labels were dear, so that their accuracy is not wasted.

Labels of hours deserve more than minutes of training: with 2000 DFT and 200 CCSD(T) labels of
ethanol 1,500 steps of pre-training end at .38 kcal/mol/Å, 16,000 at .13 and 48,000 at .10
(`tests/benchmarks/training/RESULTS.md`). So training may take `SHARE` of what the labels cost.
"""

from forgefield.platform.forecasting.outcomes import Training
from forgefield.platform.planning.recipe import Recipe

SHARE = 0.15
"""Core time of the last training over that of all labels; those of the rounds come on top."""
CORE_SECONDS_PER_ATOM = 30.0
"""Of the default schedule and model with one network; ethanol's takes 270 s of a core."""
EACH_FURTHER_NETWORK = 0.36
"""Of that: a committee's others skip what was tried only to choose by."""
LONGEST = 30.0
"""Beyond it error hardly falls."""


def last_training(core_seconds: float, atoms: int, recipe: Recipe) -> Training:
    """How the last force field of so much money is trained."""
    return Training(training_effort(core_seconds, atoms, recipe), recipe.training.members)


def training_effort(core_seconds: float, atoms: int, recipe: Recipe) -> float:
    """The multiple of the recipe's steps; 1 where prices are stated, not spent."""
    if recipe.training.effort is not None:
        return recipe.training.effort
    if recipe.has_stand_ins:
        return 1.0
    shortest = training_core_seconds(1.0, atoms, recipe.training.members)
    fitting = SHARE * core_seconds / shortest
    return round(min(max(fitting, 1.0), LONGEST), 2)


def training_core_seconds(effort: float, atoms: int, members: int) -> float:
    """What the last training takes, roughly: rungs, curve and committee, by the default model."""
    networks = 1 + EACH_FURTHER_NETWORK * (members - 1)
    return effort * CORE_SECONDS_PER_ATOM * atoms * networks
