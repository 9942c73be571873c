"""How long a campaign trains: longer where labels were dear, so that their accuracy is not wasted.

Labels of hours deserve more than minutes of training: with 2000 DFT and 200 CCSD(T) labels of
ethanol 1,500 steps of pre-training end at .38 kcal/mol/Å, 16,000 at .13 and 48,000 at .10
(`tests/benchmarks/training/RESULTS.md`). So training may take `SHARE` of what the labels cost.
"""

from forgefield.platform.forecasting.outcomes import Training
from forgefield.platform.planning.recipe import Recipe

SHARE = 0.15
"""Core time of the last training over that of all labels; those of the rounds come on top."""
CORE_SECONDS_PER_ATOM = 55.0
"""Of the default schedule, model and committee, on the fast core that `SHARE` was chosen on; it is
the same on all machines, so that the same labels deserve the same training everywhere. What
training takes here is `training_time`'s business."""
OLDER_CORE_SECONDS_PER_ATOM = (51.6, 30.0)
"""Of schedules of before: plans that were made by them go on with the effort that they have."""
LONGEST = 30.0
"""Beyond it error hardly falls."""


def last_training(core_seconds: float, atoms: int, recipe: Recipe) -> Training:
    """How the last force field of so much money is trained."""
    return Training(training_effort(core_seconds, atoms, recipe), recipe.training.members)


def training_effort(
    core_seconds: float, atoms: int, recipe: Recipe, per_atom: float = CORE_SECONDS_PER_ATOM
) -> float:
    """The multiple of the recipe's steps; 1 where stand-ins label, whose money isn't spent.

    A rehearsal that is to train as its real run does says so in `training.effort`.
    """
    if recipe.training.effort is not None:
        return recipe.training.effort
    if recipe.has_stand_ins:
        return 1.0
    fitting = SHARE * core_seconds / (per_atom * atoms)
    return round(min(max(fitting, 1.0), LONGEST), 2)


def is_deserved(effort: float, core_seconds: float, atoms: int, recipe: Recipe) -> bool:
    """Whether so much money is trained so long, by this version or one of before."""
    schedules = CORE_SECONDS_PER_ATOM, *OLDER_CORE_SECONDS_PER_ATOM
    return effort in {training_effort(core_seconds, atoms, recipe, each) for each in schedules}
