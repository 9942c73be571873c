"""The learning rate of every step, and how slowly the moving average of the weights follows."""

import math

from forgefield.trainers.settings import FitSettings


def rate_at(step: int, settings: FitSettings) -> float:
    """Linear warm-up, then half a cosine down to `final_rate` of the rate at the last step."""
    if step < settings.warm_up:
        return settings.rate * (step + 1) / settings.warm_up
    done = (step - settings.warm_up) / max(1, settings.steps - settings.warm_up)
    swing = 0.5 * (1 + math.cos(math.pi * done))
    return settings.rate * (settings.final_rate + (1 - settings.final_rate) * swing)


def decay_at(step: int, settings: FitSettings) -> float:
    """What is kept of the moving average: `ema`, but less while there are few steps to average."""
    return min(settings.ema, (1 + step) / (10 + step))
