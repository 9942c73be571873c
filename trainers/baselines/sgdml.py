"""sGDML: a force field solved in one go, by Gaussian-process regression on forces.

Source: Chmiela et al., Sci. Adv. 3, e1603015 (2017) and Nat. Commun. 9, 3887 (2018), with the
choices of the `sgdml` package (1.0.3): forces divided by their standard deviation, λ = 1e-10, σ
from 10 to 90 by the error of validation forces, energies by one constant fitted on the training
frames. For the same σ, λ and permutations predictions are the package's, which a test holds.

One molecule, atoms always in the same order, no periodic boxes. Memory is a matrix of
(3A·frames)² float64: 0.4 GB for 250 frames of ethanol, 6 GB for 1000.

Legend: `F` frames, `M` training frames, `A` atoms, `X` = 3A. Units: Å, eV, eV/Å.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from forgefield.storage.documents import Document
from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.records import Array
from forgefield.trainers.baselines.gradient_kernel import (
    Descriptors,
    Expansion,
    describe,
    force_covariances,
    permuted_pairs,
)
from forgefield.trainers.baselines.one_molecule import need_labels, need_memory, positions
from forgefield.trainers.baselines.permutations import find_permutations

Index = NDArray[np.int64]


class SGDMLSettings(Document):
    """`sigmas` are tried in their order until the error has risen twice; `symmetric` is the s.

    `regularisation` is λ, relative to forces of unit variance.
    """

    sigmas: tuple[float, ...] = Field(default=tuple(range(10, 100, 10)), min_length=1)
    regularisation: float = Field(default=1e-10, gt=0)
    symmetric: bool = True
    most_permutations: int = Field(default=100, ge=1)


class Chosen(Document):
    """What a fit settled on; `errors` are (σ, validation force MAE in eV/Å) as tried."""

    sigma: float
    regularisation: float
    constant: float
    errors: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class SGDML:
    """A fitted force field; `numbers_A` in the order in which it takes atoms."""

    numbers_A: Index
    expansion: Expansion
    chosen: Chosen

    def predict(self, frames: Frames) -> tuple[Array, Array]:
        """Energies (F,) eV, absolute, and forces (A, 3) eV/Å; labels aren't read."""
        positions_FA3 = positions(frames, self.numbers_A)
        energy_F, forces_FA3 = self.expansion.energies_and_forces(positions_FA3)
        return energy_F + self.chosen.constant, forces_FA3.reshape(-1, 3)


def fit(train: Frames, validation: Frames, settings: SGDMLSettings | None = None) -> SGDML:
    """The force field of the σ with the smallest mean absolute error of validation forces.

    Raises `InputError` for frames of several molecules or methods, without forces, or too many
    for the memory.
    """
    settings = settings or SGDMLSettings()
    problem = _Problem.of(train, settings)
    need_labels(validation, "validation")
    errors: list[tuple[float, float]] = []
    best: SGDML | None = None
    for sigma in settings.sigmas:
        model = problem.solve(sigma, settings.regularisation)
        _, forces_A3 = model.predict(validation)
        error = float(np.abs(forces_A3 - validation.forces_A3).mean())
        if best is None or error < min(seen for _, seen in errors):
            best = model
        errors.append((sigma, error))
        if _risen_twice([seen for _, seen in errors]):
            break
    assert best is not None  # noqa: S101
    chosen = best.chosen.model_copy(update={"errors": tuple(errors)})
    return SGDML(best.numbers_A, best.expansion, chosen)


def _risen_twice(errors: Sequence[float]) -> bool:
    return len(errors) > 2 and errors[-1] > errors[-2] > errors[-3]


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    """Training frames, described once for all σ."""

    train: Frames
    numbers_A: Index
    known: Descriptors
    pairs_GP: Index

    @classmethod
    def of(cls, train: Frames, settings: SGDMLSettings) -> Self:
        need_labels(train, "training")
        numbers_A: Index = train.numbers[train.atoms_of(0)]
        positions_MA3 = positions(train, numbers_A)
        need_memory(positions_MA3.size)
        group_GA = np.arange(len(numbers_A))[None]
        if settings.symmetric:
            group_GA = find_permutations(numbers_A, positions_MA3, settings.most_permutations)
        return cls(train, numbers_A, describe(positions_MA3), permuted_pairs(group_GA))

    def solve(self, sigma: float, regularisation: float) -> SGDML:
        spread = float(self.train.forces_A3.std()) or 1.0
        coefficients = _solved(
            self.known, self.pairs_GP, self.train.forces_A3.ravel() / spread, sigma, regularisation
        )
        scaled_MX = spread * coefficients.reshape(len(self.train), -1)
        expansion = Expansion.of(self.known, self.pairs_GP, scaled_MX, sigma)
        chosen = Chosen(sigma=sigma, regularisation=regularisation, constant=0.0)
        bare = SGDML(self.numbers_A, expansion, chosen)
        constant = float((self.train.energy_F - bare.predict(self.train)[0]).mean())
        return SGDML(self.numbers_A, expansion, chosen.model_copy(update={"constant": constant}))


def _solved(
    known: Descriptors, pairs_GP: Index, forces: Array, sigma: float, regularisation: float
) -> Array:
    """(K + λ)⁻¹ F by Cholesky's method, in the memory of K."""
    matrix = force_covariances(known, pairs_GP, sigma)
    np.einsum("ii->i", matrix)[:] += regularisation
    try:
        # The transpose is in Fortran's order, so LAPACK works in place.
        factor = cho_factor(matrix.T, lower=True, overwrite_a=True, check_finite=False)
    except LinAlgError as error:
        raise InputError(
            f"sGDML's matrix for σ = {sigma:g} isn't positive definite with λ = "
            f"{regularisation:g}: leave out duplicates of training frames, or raise "
            "`regularisation` tenfold"
        ) from error
    return np.asarray(cho_solve(factor, forces, check_finite=False))
