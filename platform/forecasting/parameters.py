"""Parameters of the error model, their priors, and how they come from standard normals.

A particle is a vector of standard normals, one a parameter, and every parameter is
`link⁻¹(link(median) + spread·z)`: the logarithm for what is positive, the logit for what lies in
(0, 1). So a prior is two numbers a parameter, posteriors are sampled where the prior is round, and
priors are fitted to measured molecules by averaging z (`tests/benchmarks/planning/fit_priors.py`).

Errors are relative to one scale, the `scratch` error of a molecule at 100 target labels, so that
a hard molecule is hard in every way of training.

Legend: `P` particles, `Z` parameters. Units: kcal/mol/Å, labels.
"""

from dataclasses import dataclass, fields
from typing import Annotated

import numpy as np
from pydantic import Field, field_validator

from forgefield.storage.documents import Document
from forgefield.storage.records import Array

LARGEST_SPREAD = 10.0
"""Of a logarithm; beyond it errors are no numbers."""
ATOMS = 9
"""Atoms of the molecule that `scratch` is quoted for (ethanol)."""

Prior = tuple[
    Annotated[float, Field(ge=1e-12, le=1e6)],
    Annotated[float, Field(gt=0, le=LARGEST_SPREAD)],
]
"""Median, and standard deviation of the logarithm (or of the logit, in `LOGIT`)."""

LOGIT = frozenset({"beta", "cheap_power", "common"})


class ErrorModelSettings(Document):
    """Priors of the error model (the recipe's section `forecast`) and the noise of what is seen.

    They are fitted (`fit_priors.py`) to a grid of label counts measured with a campaign's short
    schedule (h2co, ethanol, benzene, toluene; CCSD(T) or PBE above PBE, B3LYP, GFN2-xTB or MMFF94),
    to earlier runs, and to the ASTEROID paper's five molecules. That paper's exponents, N(0.75,
    0.12), don't hold there. Fine-tuning gains little from more target labels: from 8 to 200 the
    error falls by a quarter to a half, an exponent of 0.07 to 0.19. Nor does the field of the
    cheaper tier gain much, whose own error was measured: from 100 to 2000 labels it falls by 15 to
    45 %, an exponent of 0.05 to 0.2, for short trainings end before many labels are used up; its
    prior is wide because long ones don't. β keeps the paper's mean, as a logit-normal, and scratch
    has 0.5.

    `effort_power`: errors fall with the length of training, the κ of `curves`. NequIP on ethanol
    (2000 PBE, 200 CCSD(T) labels): .391 and .249 after 1,500 and 3,000 steps of pre-training, .195,
    .127 and .104 after 4,000, 16,000 and 48,000, from which κ is .71, .78, .58 and .54; from
    scratch on 250 labels .965 after 600 steps, .305 after 4,000: .93. Two campaigns whose rounds
    took half the steps had .37 and .53. The grid has one length, so its fit can't tell.
    `common`: the share of their squared error that networks on the same labels have in common;
    three NequIP networks on ethanol had .1039, .1078 and .1030 on 699 test frames, pairs .0897 on
    average, all three .0840, which is .46 by pairs as by all.
    `atoms_power`: errors grow with the atoms, weakly and with exceptions (benzene is rigid).
    `model_spread`: scatter of ln e between trainings and off the formula; `frame_spread`: standard
    deviation of ln e over frames, 0.3 to 0.4 from frame to frame; `frame_likeness`: how much of it
    two force fields share on the same frames. `particles` prior draws leave `kept`.
    """

    scratch: Prior = (0.79, 0.73)
    alpha_scratch: Prior = (0.53, 0.26)
    floor_scratch: Prior = (0.055, 1.0)
    tuned: Prior = (0.335, 0.28)
    alpha: Prior = (0.16, 0.53)
    floor: Prior = (0.11, 0.80)
    beta: Prior = (0.55, 0.65)
    alpha_lower: Prior = (0.21, 0.61)
    floor_lower: Prior = (0.05, 0.94)
    cheap_worth: Prior = (0.46, 1.0)
    cheap_power: Prior = (0.66, 0.56)
    delta: Prior = (0.30, 0.50)
    alpha_delta: Prior = (0.50, 0.40)
    lower: Prior = (0.30, 0.50)
    effort_power: Prior = (0.50, 0.35)
    common: Prior = (0.46, 0.50)
    atoms_power: float = Field(0.5, ge=-LARGEST_SPREAD, le=LARGEST_SPREAD)
    model_spread: float = Field(0.09, gt=0, le=LARGEST_SPREAD)
    frame_spread: float = Field(0.40, gt=0, le=LARGEST_SPREAD)
    frame_likeness: float = Field(0.7, ge=0, le=1)
    particles: int = Field(20_000, ge=1000)
    kept: int = Field(4000, ge=500)
    seed: int = Field(0, ge=0)

    @field_validator(*sorted(LOGIT))
    @classmethod
    def _below_one(cls, prior: Prior) -> Prior:
        if prior[0] >= 1:
            raise ValueError("the median must lie below 1")
        return prior


@dataclass(frozen=True, slots=True)
class Parameters:
    """Parameters by particle, each of shape (P, 1); their names are the settings'."""

    scratch: Array
    alpha_scratch: Array
    floor_scratch: Array
    tuned: Array
    alpha: Array
    floor: Array
    beta: Array
    alpha_lower: Array
    floor_lower: Array
    cheap_worth: Array
    cheap_power: Array
    delta: Array
    alpha_delta: Array
    lower: Array
    effort_power: Array
    common: Array

    @classmethod
    def of(cls, normals_PZ: Array, settings: ErrorModelSettings, atoms: int) -> "Parameters":
        """Parameters for a molecule of so many atoms."""
        values = {
            name: _from_normal(name, getattr(settings, name), normals_PZ[:, [place]])
            for place, name in enumerate(NAMES)
        }
        values["scratch"] = values["scratch"] * (atoms / ATOMS) ** settings.atoms_power
        return cls(**values)


NAMES = tuple(field.name for field in fields(Parameters))


def _from_normal(name: str, prior: tuple[float, float], normal_P1: Array) -> Array:
    median, spread = prior
    if name in LOGIT:
        return 1 / (1 + (1 / median - 1) * np.exp(-spread * normal_P1))
    return median * np.exp(spread * normal_P1)
