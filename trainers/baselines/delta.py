"""Δ-learning: a model of the difference between two methods, added to the cheap one.

f_accurate(x) ≈ f_cheap(x) + F(x; θ), F trained on differences of labels at the same geometries
(Ramakrishnan et al., J. Chem. Theory Comput. 11, 2087 (2015)). A prediction costs a cheap label, or
a force field that imitates the cheap method.

`difference_frames` makes frames that any training takes; `Sum` adds a base to what was trained.

Legend: `F` frames, `A` atoms. Units: Å, eV, eV/Å.
"""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames, hex_keys
from forgefield.storage.geometry import SAME_GEOMETRY_A
from forgefield.storage.records import Array, Method, job_key
from forgefield.trainers.baselines.same_geometries import Matches, match


class Predictor(Protocol):
    """Anything that gives energies (F,) eV, absolute, and forces (A, 3) eV/Å of frames."""

    def predict(self, frames: Frames) -> tuple[Array, Array]:
        """Labels aren't read."""


def difference_frames(
    cheap: Frames, accurate: Frames, tolerance: float = SAME_GEOMETRY_A
) -> Frames:
    """The frames of `accurate` whose geometry has a cheap label too, labelled accurate − cheap.

    They keep place, purpose and cost of the accurate frames; their method is of its tier, named
    `accurate − cheap`. Raises `InputError` for several methods on a side, or no common geometry.
    """
    low, high = only_method(cheap, "cheap"), only_method(accurate, "accurate")
    pairs = match(cheap, accurate, tolerance)
    if not len(pairs.asked_P):
        raise InputError(
            f"No geometry has labels of both {low.name} and {high.name}: Δ-learning needs them at "
            "the same geometries. Label the accurate frames by the cheap method too"
        )
    frames = accurate.select(pairs.asked_P)
    energy_F, forces_A3 = matched_labels(cheap, pairs)
    method = Method(high.tier, f"{high.name} − {low.name}")
    keys = [bytes.fromhex(job_key(method, key)) for key in hex_keys(frames.geometry_F)]
    return replace(
        frames,
        energy_F=frames.energy_F - energy_F,
        forces_A3=frames.forces_A3 - forces_A3,
        stress_F33=np.full_like(frames.stress_F33, np.nan),
        method_F=np.zeros(len(frames), dtype=np.int64),
        methods=(method,),
        key_F=np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, 16).copy(),
    )


def only_method(frames: Frames, name: str) -> Method:
    """The one method of `frames`; `InputError` where they have none or several."""
    used = [frames.methods[place].name for place in np.unique(frames.method_F)]
    if len(used) != 1:
        there = ", ".join(used) or "no frames at all"
        raise InputError(f"The {name} frames must be of one method; they hold {there}")
    return frames.methods[int(frames.method_F[0])]


def matched_labels(known: Frames, pairs: Matches) -> tuple[Array, Array]:
    """Energies and forces of the known frames, turned into the asked ones: (P,), (A of them, 3)."""
    forces = [
        known.forces_A3[known.atoms_of(frame)] @ rotation
        for frame, rotation in zip(pairs.known_P.tolist(), pairs.rotation_P33, strict=True)
    ]
    return known.energy_F[pairs.known_P], np.concatenate([np.empty((0, 3)), *forces])


@dataclass(frozen=True, slots=True, eq=False)
class KnownLabels:
    """A predictor that looks labels up: frames of one method at the geometries to come."""

    labels: Frames
    tolerance: float = SAME_GEOMETRY_A

    def predict(self, frames: Frames) -> tuple[Array, Array]:
        """Labels of the same geometries; `InputError` where some have none."""
        pairs = match(self.labels, frames, self.tolerance)
        missing = len(frames) - len(pairs.asked_P)
        if missing:
            method = only_method(self.labels, "cheap").name
            raise InputError(
                f"{missing} of {len(frames)} frames have no label by {method}, which Δ-learning "
                "adds to: label them, or use a force field that imitates it as the base"
            )
        return matched_labels(self.labels, pairs)


@dataclass(frozen=True, slots=True, eq=False)
class Sum:
    """Base plus correction: what Δ-learning predicts with."""

    base: Predictor
    correction: Predictor

    def predict(self, frames: Frames) -> tuple[Array, Array]:
        """Energies (F,) eV, absolute, and forces (A, 3) eV/Å."""
        energy_F, forces_A3 = self.base.predict(frames)
        more_F, more_A3 = self.correction.predict(frames)
        return energy_F + more_F, forces_A3 + more_A3
