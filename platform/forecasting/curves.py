"""The error model: the error that a number of labels brings, given its parameters.

With n⁺ = (n + 1)/n₀, one label more than there are because a curve must start somewhere:

    e_S = S·[n_H⁺^(−α_S) + φ_S]                          scratch, n₀ = 100
    e_L = A·[n_L⁺^(−α_L) + φ_L],  n_L = n_D + k·n_E^a     field of the tiers below, n₀ = 1000
    e_H = T·[n_H⁺^(−α) (e_L/A)^β + φ]                    tuned, n₀ = 100
    e_Δ = √(D²·n_H⁺^(−2α_Δ) + e_L²)                      Δ-mode

S is `scratch`; T, A and D are S times `tuned`, `lower` and `delta`. Only T, the error of the tuned
field at (100, 1000), is seen, so e_H has no other prefactor. Exponents are positive, therefore
more labels never forecast a larger error.

Longer training and a committee take off every one of them (`trained`):

    e = e(labels) · [t(effort)/t(1)]^(−κ) · √(c + (1 − c)/M),  t(x) = x/(1 + x/s)

M networks have c of e² in common. Length helps while frames are left to learn from: it is used up
around s times the default, where every frame was seen some hundred times; s = n_L/120 after
pre-training (1500 steps of 8), n_H/50 from scratch (600).

Transfer that hurts is refused: the error that a tuned field is *used* with is the smaller of e_H
and e_S, and e_S where there is nothing to transfer from (`used`).

Legend: `P` particles, `K` numbers of labels. Units: kcal/mol/Å.
"""

from collections.abc import Sequence

import numpy as np

from forgefield.platform.forecasting.counts import Counts
from forgefield.platform.forecasting.outcomes import PLAIN, Kind, Training
from forgefield.platform.forecasting.parameters import Parameters
from forgefield.storage.records import Array

TARGET_AT = 100
LOWER_AT = 1000
LOWER_A_LENGTH, TARGET_A_LENGTH = 120.0, 50.0
"""Frames of the tiers below, and of the target tier from scratch, for a default length of use."""


def as_array(counts: Sequence[Counts]) -> Array:
    """Counts as rows (target, middle, cheap), shape (K, 3)."""
    return np.array([each.triple for each in counts], dtype=float).reshape(-1, 3)


def error(
    parameters: Parameters, counts_K3: Array, kind: Kind, training: Training = PLAIN
) -> Array:
    """Error of every particle at every number of labels, shape (P, K)."""
    of_kind = {Kind.SCRATCH: _scratch, Kind.TUNED: _tuned, Kind.DELTA: _delta}[kind]
    return of_kind(parameters, counts_K3) * trained(parameters, counts_K3, kind, training)


def used(
    parameters: Parameters,
    counts_K3: Array,
    kind: Kind = Kind.TUNED,
    training: Training = PLAIN,
) -> Array:
    """Error of the force field that is used: never one that transfer made worse, shape (P, K)."""
    scratch_PK = error(parameters, counts_K3, Kind.SCRATCH, training)
    if kind is Kind.SCRATCH:
        return scratch_PK
    something_K = counts_K3[:, 1:].sum(1) > 0
    better_PK = np.minimum(scratch_PK, error(parameters, counts_K3, kind, training))
    return np.where(something_K, better_PK, scratch_PK)


def trained(parameters: Parameters, counts_K3: Array, kind: Kind, training: Training) -> Array:
    """The factor of a training on the errors of the default one, shape (P, K) or (P, 1)."""
    common = parameters.common
    averaged_P1 = np.sqrt(common + (1 - common) / training.members)
    if training.effort == PLAIN.effort:
        return np.asarray(averaged_P1)
    if kind is Kind.SCRATCH:
        lengths_PK = counts_K3[None, :, 0] / TARGET_A_LENGTH
    else:
        lengths_PK = _lower_count(parameters, counts_K3) / LOWER_A_LENGTH
    gain_PK = training.effort * (1 + lengths_PK) / (training.effort + lengths_PK)
    return np.asarray(averaged_P1 * gain_PK ** (-parameters.effort_power))


def _scratch(p: Parameters, counts_K3: Array) -> Array:
    return p.scratch * (_power(counts_K3[:, 0], TARGET_AT, p.alpha_scratch) + p.floor_scratch)


def _tuned(p: Parameters, counts_K3: Array) -> Array:
    lower_PK = _lower(p, counts_K3) ** p.beta
    return p.scratch * p.tuned * (_power(counts_K3[:, 0], TARGET_AT, p.alpha) * lower_PK + p.floor)


def _delta(p: Parameters, counts_K3: Array) -> Array:
    difference_PK = p.delta * _power(counts_K3[:, 0], TARGET_AT, p.alpha_delta)
    return p.scratch * np.hypot(difference_PK, p.lower * _lower(p, counts_K3))


def _lower(p: Parameters, counts_K3: Array) -> Array:
    """e_L/A: the field of cheaper labels, relative to its error at 1000 of them, shape (P, K)."""
    return _power(_lower_count(p, counts_K3), LOWER_AT, p.alpha_lower) + p.floor_lower


def _lower_count(p: Parameters, counts_K3: Array) -> Array:
    """n_L: middle-tier labels, and what the cheap ones are worth in them, shape (P, K)."""
    middle_K, cheap_K = counts_K3[:, 1], counts_K3[:, 2]
    worth_PK = p.cheap_worth * np.where(cheap_K > 0, np.maximum(cheap_K, 1) ** p.cheap_power, 0)
    return np.asarray(middle_K + worth_PK)


def _power(count: Array, unit: int, exponent_P1: Array) -> Array:
    """((n + 1)/n₀)^(−exponent)."""
    return np.exp(-exponent_P1 * np.log((count + 1) / unit))
