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
LONGEST = 30.0
"""Beyond it error hardly falls."""


OLDER_CORE_SECONDS_PER_ATOM = (51.6, 30.0)
"""Of schedules of before: plans that were made by them go on with the effort that they have."""


def last_training(core_seconds: float, atoms: int, recipe: Recipe) -> Training:
    """How the last force field of so much money is trained."""
    return Training(training_effort(core_seconds, atoms, recipe), recipe.training.members)


def training_effort(core_seconds: float, atoms: int, recipe: Recipe) -> float:
    """The multiple of the recipe's steps; 1 where stand-ins label, whose money isn't spent.

    A rehearsal that is to train as its real run does says so in `training.effort`.
    """
    if recipe.training.effort is not None:
        return recipe.training.effort
    if recipe.has_stand_ins:
        return 1.0
    return _deserved(core_seconds, CORE_SECONDS_PER_ATOM * atoms)


def is_deserved(effort: float, core_seconds: float, atoms: int, recipe: Recipe) -> bool:
    """Whether so much money is trained so long, by this version or one of before."""
    older = [_deserved(core_seconds, each * atoms) for each in OLDER_CORE_SECONDS_PER_ATOM]
    ours = training_effort(core_seconds, atoms, recipe)
    is_free = recipe.training.effort is None and not recipe.has_stand_ins
    return effort == ours or (is_free and effort in older)


def _deserved(core_seconds: float, usual_s: float) -> float:
    fitting = SHARE * core_seconds / usual_s
    return round(min(max(fitting, 1.0), LONGEST), 2)
