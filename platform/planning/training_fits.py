"""The fits that a training consists of, before any is chosen by its errors: at most so many.

Stage 1, its curve and committee; for each c every rung and its fine-tuning; then the curve of
fine-tunings and the committee's others up the way that was chosen (`trainers.stages.asteroid`).
"""

from itertools import accumulate
from operator import mul

from forgefield.platform.planning.round_settings import RoundSettings
from forgefield.trainers.settings import FitSettings
from forgefield.trainers.stages.asteroid_settings import AsteroidSettings

Fits = list[FitSettings]


def fits_of(training: AsteroidSettings) -> Fits:
    """All of them."""
    curve, others = len(training.curve), training.members - 1
    fits = [training.standard] * (1 + curve + others) + [training.finetune] * curve
    for phase, width in zip(training.pretrain, _widths(training), strict=True):
        fits += [phase.fit, training.finetune] * width
    return fits + _way(training) * others


def longest_way(training: AsteroidSettings) -> Fits:
    """Those that have to wait for each other, however many cores there are."""
    climb = [fit for phase in training.pretrain for fit in (phase.fit, training.finetune)]
    return [training.standard, *climb, *(_way(training) if training.members > 1 else [])]


def fits_of_round(training: AsteroidSettings, rounds: RoundSettings) -> Fits:
    """Those of one round, with its committee's others."""
    settings = shorter(training, rounds)
    return fits_of(settings) + [settings.finetune] * (rounds.committee - 1)


def longest_of_round(training: AsteroidSettings, rounds: RoundSettings) -> Fits:
    """Those of a round that have to wait for each other; rungs without weights wait for none."""
    settings = shorter(training, rounds)
    climb = [fit for phase in settings.pretrain for fit in (phase.fit, settings.finetune)]
    return max(climb, [settings.standard], key=frames_of)


def frames_of(fits: Fits) -> int:
    """Frames that the fits see, each as often as it is in a batch."""
    return sum(fit.steps * fit.batch for fit in fits)


def shorter(training: AsteroidSettings, rounds: RoundSettings) -> AsteroidSettings:
    """The settings of a round's stages: no weights, a short curve, steps by `effort`."""
    settings = training.longer(rounds.effort)
    phases = tuple(phase.model_copy(update={"c_grid": None}) for phase in settings.pretrain)
    update = {"pretrain": phases, "c_grid": (None,), "curve": rounds.curve, "members": 1}
    return settings.model_copy(update=update)


def _way(training: AsteroidSettings) -> Fits:
    """Up all rungs, and fine-tuning of the last."""
    return [*(phase.fit for phase in training.pretrain), training.finetune]


def _widths(training: AsteroidSettings) -> list[int]:
    """How often each rung is climbed: a grid of its own multiplies the one below."""
    grids = [len(phase.c_grid or (None,)) for phase in training.pretrain]
    if grids and training.pretrain[0].c_grid is None:
        grids[0] = len(training.c_grid)
    return list(accumulate(grids, mul))
