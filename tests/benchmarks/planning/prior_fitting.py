"""Priors of the error model from measured molecules: expectation maximisation.

Every system is one draw from the prior. Given a prior, the parameters of each system have a
posterior; the prior that fits best has, parameter by parameter, the mean and variance of all these
together (in the link's units). Few systems can't settle fourteen parameters, so what was assumed
counts as `ASSUMED` further systems. Units: kcal/mol/Å.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from forgefield.platform.forecasting.counts import Counts
from forgefield.platform.forecasting.error_model import ErrorModelSettings, Posterior
from forgefield.platform.forecasting.outcomes import Kind, Outcome
from forgefield.platform.forecasting.parameters import LOGIT, NAMES
from forgefield.storage.records import Array

ASSUMED, STEPS = 2.0, 8
ATOMS = {"h2co": 4, "ethanol": 9, "malonaldehyde": 9, "benzene": 12, "toluene": 15, "aspirin": 21}


BEFORE = ErrorModelSettings(
    scratch=(0.70, 0.80),
    alpha_scratch=(0.60, 0.28),
    floor_scratch=(0.05, 1.0),
    tuned=(0.37, 0.35),
    alpha=(0.30, 0.60),
    floor=(0.10, 0.90),
    beta=(0.60, 0.60),
    alpha_lower=(0.35, 0.60),
    floor_lower=(0.05, 1.0),
    cheap_worth=(0.50, 1.0),
    cheap_power=(0.65, 0.60),
    delta=(0.30, 0.50),
    alpha_delta=(0.50, 0.40),
    lower=(0.30, 0.50),
)
"""What was assumed before the grid: where fits begin, so that what is left out stays unknown."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An outcome and the seed of its training."""

    outcome: Outcome
    seed: int


Systems = Mapping[str, Sequence[Seen]]
"""What was seen of every system: a molecule, a dash, and what tells it from others of it."""


def load(paths: Sequence[Path]) -> dict[str, list[Seen]]:
    """Systems of files of records; a file that isn't there has none."""
    found: dict[str, list[Seen]] = {}
    for path in paths:
        text = path.read_text(encoding="utf-8") if path.exists() else '{"records": []}'
        for row in json.loads(text)["records"]:
            counts = Counts(row["n_target"], row["n_middle"], row["n_cheap"])
            outcome = Outcome(counts, Kind(row["kind"]), row["error"], row["frames"])
            found.setdefault(row["system"], []).append(Seen(outcome, row["seed"]))
    return found


def molecule(system: str) -> str:
    """`ethanol` of `ethanol-xtb`."""
    return system.split("-", maxsplit=1)[0]


def posterior_of(system: str, seen: Sequence[Seen], settings: ErrorModelSettings) -> Posterior:
    """What outcomes of a system leave of a prior."""
    return Posterior.of([each.outcome for each in seen], settings, ATOMS[molecule(system)])


def fitted(systems: Systems, assumed: ErrorModelSettings) -> ErrorModelSettings:
    """The prior from which these systems most likely come."""
    prior = assumed
    for _ in range(STEPS):
        draws = [posterior_of(*item, prior).normals_PZ for item in systems.items()]
        prior = _maximised(np.stack(draws), prior, assumed)
    return prior


def _maximised(
    normals_SPZ: Array, prior: ErrorModelSettings, assumed: ErrorModelSettings
) -> ErrorModelSettings:
    values = {}
    for place, name in enumerate(NAMES):
        centre, spread = linked(name, prior)
        first, width = linked(name, assumed)
        seen_SP = centre + spread * normals_SPZ[:, :, place]
        whole = len(seen_SP) + ASSUMED
        mean = (seen_SP.mean(1).sum() + ASSUMED * first) / whole
        squares = ((seen_SP - mean) ** 2).mean(1).sum() + ASSUMED * (width**2 + (first - mean) ** 2)
        values[name] = (unlinked(name, float(mean)), float(np.sqrt(squares / whole)))
    return prior.model_copy(update=values)


def linked(name: str, settings: ErrorModelSettings) -> tuple[float, float]:
    """Mean and spread of a parameter's prior in the units of its link."""
    median, spread = getattr(settings, name)
    return float(np.log(median / (1 - median) if name in LOGIT else median)), float(spread)


def unlinked(name: str, mean: float) -> float:
    """The median in the parameter's own unit."""
    return float(1 / (1 + np.exp(-mean)) if name in LOGIT else np.exp(mean))


def without(name: str, paths: Sequence[Path]) -> ErrorModelSettings:
    """The prior of somebody who has seen every system of these files but those of a molecule."""
    others = {s: v for s, v in load(paths).items() if molecule(s) != name}
    return fitted(others, BEFORE)


def as_toml(settings: ErrorModelSettings) -> str:
    """A recipe's section of the priors."""
    rows = ((name, getattr(settings, name)) for name in NAMES)
    return "[forecast]\n" + "".join(f"{n} = [{m:.4g}, {s:.4g}]\n" for n, (m, s) in rows)
