"""Bias of cheap labels and the weights that follow from it.

Source: ASTEROID, arXiv 2306.03109, section 3.1. The force field θ₀ knows the accurate forces
roughly; where a cheap label disagrees with it, the label is trusted less:

    B(x) = mean over atoms and components of |F(x; θ₀) − f_cheap|
    w(x) = exp(−B/γ),   γ = c · median(B)

B and γ are in eV/Å here (and in kcal/mol/Å where people see them), c is a number: it searches
the same scale whatever the molecule. The paper writes B as an L1 norm and its code takes this
mean; as a sum γ would grow by 3A.

Legend: `F` frames, `A` atoms.
"""

from dataclasses import dataclass

import numpy as np

from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.ragged import Integers
from forgefield.storage.records import Array


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """`weight_F` (F,) with mean 1, from `bias_F` (F,) and `gamma`, both eV/Å.

    Of several molecules `gamma` is the median over the frames.
    """

    weight_F: Array
    bias_F: Array
    gamma: float

    @property
    def median_bias(self) -> float:
        """Median of B over the frames, eV/Å."""
        return float(np.median(self.bias_F))


def biases(forces_A3: Array, frames: Frames) -> Array:
    """B of each frame, (F,) eV/Å, between predicted `forces_A3` (A, 3) and the labels.

    Raises `InputError` where a frame has no forces: nothing can be said of its bias.
    """
    error_A = np.abs(forces_A3 - frames.forces_A3).mean(axis=1)
    if not np.isfinite(error_A).all():
        raise InputError("a cheap frame has no forces, so its bias is unknown: leave it out")
    return np.add.reduceat(error_A, frames.ptr[:-1]) / np.diff(frames.ptr)


def weights(bias_F: Array, c: float | None, molecule_F: Integers | None = None) -> Weights:
    """Weights by γ = c·median(B); `None` weighs all alike. Means are scaled to 1.

    Molecules (`molecule_F`, (F,)) have a γ and a mean each: one that θ₀ never saw is far off
    everywhere, which says nothing of its labels. The common factor changes nothing but the meaning
    of the gradient clip: Adam divides by it.
    """
    if c is None:
        return Weights(np.ones_like(bias_F), bias_F, float("inf"))
    weight_F, gamma_F = np.ones_like(bias_F), np.zeros_like(bias_F)
    groups = np.zeros(len(bias_F), dtype=np.int64) if molecule_F is None else molecule_F
    for molecule in np.unique(groups):
        own = groups == molecule
        bias = bias_F[own]
        gamma_F[own] = gamma = c * float(np.median(bias))
        if gamma > 0:
            raw = np.exp(-(bias - bias.min()) / gamma)
            weight_F[own] = raw / raw.mean()
    return Weights(weight_F, bias_F, float(np.median(gamma_F)))
