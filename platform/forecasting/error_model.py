"""The posterior of the error model: what is known of the errors that labels will bring.

It knows no money but prices, no files and no clock; a new one is made whenever an error was seen.
Forecasts are of what will be *measured* after the training that it aims at, which may be longer
than those that were seen: they contain the scatter between trainings, and of few
frames where their number is given. One scatter a particle serves every forecast, so more labels
never raise a percentile. Errors are kcal/mol/Å.

Legend: `P` particles, `K` numbers of labels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from forgefield.platform.forecasting import curves
from forgefield.platform.forecasting.counts import Costs, Counts
from forgefield.platform.forecasting.likelihood import log_likelihood
from forgefield.platform.forecasting.outcomes import PLAIN, Kind, Outcome, Training
from forgefield.platform.forecasting.parameters import NAMES, ErrorModelSettings, Parameters
from forgefield.platform.forecasting.sampler import draw
from forgefield.storage.errors import InputError
from forgefield.storage.records import Array

__all__ = ["ErrorModelSettings", "Forecast", "Gains", "Posterior", "on_frames"]

PERCENTILES = (10, 50, 90)
NORMAL_90 = 1.2816
"""Standard deviations below which nine in ten normal variables lie."""
THINNED = 1000


@dataclass(frozen=True, slots=True)
class Forecast:
    """10, 50 and 90 % of the expected error, kcal/mol/Å."""

    low: float
    median: float
    high: float


class Percentiles(Protocol):
    """10, 50 and 90 %: a `Forecast`, or a document of one."""

    @property
    def low(self) -> float:
        """One in ten lies below."""
        ...

    @property
    def median(self) -> float:
        """Five in ten lie below."""
        ...

    @property
    def high(self) -> float:
        """Nine in ten lie below."""
        ...


def on_frames(forecast: Percentiles, frames: int, settings: ErrorModelSettings) -> Forecast:
    """A forecast for very many frames, as measured on `frames` of them: wider."""
    noise = NORMAL_90 * settings.frame_spread / math.sqrt(frames)
    down, up = (
        math.hypot(math.log(end / forecast.median), noise) for end in (forecast.low, forecast.high)
    )
    middle = forecast.median
    return Forecast(middle * math.exp(-down), middle, middle * math.exp(up))


@dataclass(frozen=True, slots=True)
class Gains:
    """−(∂ ln e/∂n)/c by tier: relative fall of the error a core-second; ∞ where labels are free."""

    target: float
    middle: float
    cheap: float


@dataclass(frozen=True, slots=True)
class Posterior:
    """Equally likely parameters, and the scatter (standard normals, shape (P,)) of each.

    `aim` is the training whose errors are forecast.
    """

    parameters: Parameters
    normals_PZ: Array
    scatter_P: Array
    settings: ErrorModelSettings
    aim: Training = PLAIN

    @classmethod
    def of(
        cls,
        outcomes: Sequence[Outcome],
        settings: ErrorModelSettings,
        atoms: int,
        aim: Training = PLAIN,
    ) -> "Posterior":
        """What outcomes leave of the prior; the prior itself for none."""
        if atoms < 1:
            raise InputError(f"A molecule has one atom or more; {atoms} were given.")
        rng = np.random.default_rng([settings.seed, 1])
        if outcomes:
            fit = log_likelihood(outcomes, settings, atoms)
            size = {"particles": settings.particles, "kept": settings.kept}
            normals_PZ = draw(fit, len(NAMES), **size, seed=settings.seed)
        else:
            normals_PZ = rng.standard_normal((settings.particles, len(NAMES)))
        scatter_P = rng.standard_normal(len(normals_PZ))
        parameters = Parameters.of(normals_PZ, settings, atoms)
        return cls(parameters, normals_PZ, scatter_P, settings, aim)

    def aimed(self, aim: Training) -> "Posterior":
        """The same knowledge, of the errors of another training."""
        return replace(self, aim=aim)

    def log_errors(self, counts: Sequence[Counts], kind: Kind = Kind.TUNED) -> Array:
        """Logarithms of the error without scatter, shape (P, K)."""
        errors_PK = curves.used(self.parameters, curves.as_array(counts), kind, self.aim)
        return np.asarray(np.log(errors_PK))

    def measured(self, counts: Counts, kind: Kind = Kind.TUNED, frames: int | None = None) -> Array:
        """Logarithm of the error as measured on so many frames (None: very many), shape (P,)."""
        variance = self.settings.model_spread**2
        variance += self.settings.frame_spread**2 / frames if frames else 0
        logs_P = self.log_errors([counts], kind)[:, 0]
        return np.asarray(logs_P + np.sqrt(variance) * self.scatter_P)

    def forecast(
        self, counts: Counts, kind: Kind = Kind.TUNED, *, frames: int | None = None
    ) -> Forecast:
        """Percentiles of the error that these labels bring."""
        logs_P = self.measured(counts, kind, frames)
        return Forecast(*(float(e) for e in np.exp(np.percentile(logs_P, PERCENTILES))))

    def chance_below(self, target: float, counts: Counts) -> float:
        """Probability that the error is `target` kcal/mol/Å or less."""
        return float(np.mean(self.measured(counts) <= np.log(target)))

    def gain_per_cost(self, counts: Counts, costs: Costs) -> Gains:
        """What the next labels of each tier bring for their price."""
        steps = [max(1, n // 20) for n in counts.triple]
        further = [counts.plus(Counts(*step)) for step in np.diag(steps).tolist()]
        logs_K = self.log_errors([counts, *further]).mean(0)
        falls = (logs_K[0] - logs_K[1:]) / steps
        prices = costs.triple
        gains = (float(f) / c if c else np.inf for f, c in zip(falls, prices, strict=True))
        return Gains(*gains)

    def thinned(self, particles: int = THINNED) -> "Posterior":
        """Fewer particles, for searches that evaluate many splits."""
        every = max(1, len(self.scatter_P) // particles)
        fewer = {name: getattr(self.parameters, name)[::every] for name in NAMES}
        rows = self.normals_PZ[::every], self.scatter_P[::every]
        return Posterior(Parameters(**fewer), *rows, self.settings, self.aim)
