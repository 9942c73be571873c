"""The error model: the error that a number of labels brings, given its parameters.

With n⁺ = (n + 1)/n₀, one label more than there are because a curve must start somewhere:

    e_S = S·[n_H⁺^(−α_S) + φ_S]                          scratch, n₀ = 100
    e_L = A·[n_L⁺^(−α_L) + φ_L],  n_L = n_D + k·n_E^a     field of the tiers below, n₀ = 1000
    e_H = T·[n_H⁺^(−α) (e_L/A)^β + φ]                    tuned, n₀ = 100
    e_Δ = √(D²·n_H⁺^(−2α_Δ) + e_L²)                      Δ-mode

S is `scratch`; T, A and D are S times `tuned`, `lower` and `delta`. Only T, the error of the tuned
field at (100, 1000), is seen, so e_H has no other prefactor. Exponents are positive, therefore
more labels never forecast a larger error.

Longer training and a committee take off every one of them alike (`trained`):

    e = e(labels) · effort^(−κ) · √(c + (1 − c)/M)        M networks have c of e² in common

Transfer that hurts is refused: the error that a tuned field is *used* with is the smaller of e_H
and e_S, and e_S where there is nothing to transfer from (`used`).

Legend: `P` particles, `K` numbers of labels. Units: kcal/mol/Å.
"""

from collections.abc import Sequence

import numpy as np

from forgefield.platform.forecasting.counts import Counts
from forgefield.platform.forecasting.outcomes import Kind, Training
from forgefield.platform.forecasting.parameters import Parameters
from forgefield.storage.records import Array

TARGET_AT = 100
LOWER_AT = 1000


def as_array(counts: Sequence[Counts]) -> Array:
    """Counts as rows (target, middle, cheap), shape (K, 3)."""
    return np.array([each.triple for each in counts], dtype=float).reshape(-1, 3)


def error(parameters: Parameters, counts_K3: Array, kind: Kind) -> Array:
    """Error of every particle at every number of labels, shape (P, K)."""
    if kind is Kind.SCRATCH:
        return _scratch(parameters, counts_K3)
    if kind is Kind.TUNED:
        return _tuned(parameters, counts_K3)
    return _delta(parameters, counts_K3)


def used(parameters: Parameters, counts_K3: Array, kind: Kind = Kind.TUNED) -> Array:
    """Error of the force field that is used: never one that transfer made worse, shape (P, K)."""
    scratch_PK = _scratch(parameters, counts_K3)
    if kind is Kind.SCRATCH:
        return scratch_PK
    something_K = counts_K3[:, 1:].sum(1) > 0
    better_PK = np.minimum(scratch_PK, error(parameters, counts_K3, kind))
    return np.where(something_K, better_PK, scratch_PK)


def trained(parameters: Parameters, training: Training) -> Array:
    """The factor of a training on the errors of the default one, shape (P, 1)."""
    common = parameters.common
    averaged = np.sqrt(common + (1 - common) / training.members)
    return np.asarray(averaged * training.effort ** (-parameters.effort_power))


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
    middle_K, cheap_K = counts_K3[:, 1], counts_K3[:, 2]
    worth_PK = p.cheap_worth * np.where(cheap_K > 0, np.maximum(cheap_K, 1) ** p.cheap_power, 0)
    return _power(middle_K + worth_PK, LOWER_AT, p.alpha_lower) + p.floor_lower


def _power(count: Array, unit: int, exponent_P1: Array) -> Array:
    """((n + 1)/n₀)^(−exponent)."""
    return np.exp(-exponent_P1 * np.log((count + 1) / unit))
