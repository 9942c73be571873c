"""What has to leave the labels before a network sees them: reference energies and a scale.

Total energies are 10³ eV and differ between methods by constants; forces differ by nothing of
the kind. So each method gets an energy per element by least squares, removed in float64.

Legend: `F` frames, `A` atoms.
"""

from collections.abc import Mapping

import numpy as np

from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.records import Array


def reference_energies(frames: Frames) -> dict[int, float]:
    """Energy per atomic number, eV, by least squares over frames of one method.

    Where compositions don't tell elements apart (one molecule) it is the solution of least
    norm, which still removes the mean. Raises `InputError` without frames or for a mixture.
    """
    if not len(frames):
        raise InputError("reference energies need at least one frame; label some first")
    if len(np.unique(frames.method_F)) != 1:
        raise InputError("reference energies are fitted for one method at a time")
    elements, counts = composition(frames)
    solution, *_ = np.linalg.lstsq(counts, frames.energy_F, rcond=None)
    return {int(z): float(e) for z, e in zip(elements, solution, strict=True)}


def composition(frames: Frames) -> tuple[Array, Array]:
    """Atomic numbers that occur, and how many of each every frame has, (F, elements)."""
    elements, column = np.unique(frames.numbers, return_inverse=True)
    frame_A = np.repeat(np.arange(len(frames)), np.diff(frames.ptr))
    counts = np.zeros((len(frames), len(elements)))
    np.add.at(counts, (frame_A, column), 1.0)
    return elements.astype(np.float64), counts


def reference_sums(frames: Frames, references: Mapping[int, float]) -> Array:
    """Sum of the reference energies of each frame, (F,) eV; `InputError` for a new element."""
    elements, counts = composition(frames)
    missing = sorted({int(z) for z in elements} - set(references))
    if missing:
        raise InputError(f"no reference energy for the elements {missing}: train on them first")
    return np.asarray(counts @ np.array([references[int(z)] for z in elements]))


def relative_energies(frames: Frames) -> Array:
    """Energies of each frame relative to the references of its own method, (F,) eV."""
    energy_F = np.empty(len(frames))
    for method in np.unique(frames.method_F):
        mask = frames.method_F == method
        part = frames.select(mask)
        energy_F[mask] = part.energy_F - reference_sums(part, reference_energies(part))
    return energy_F


def force_scale(frames: Frames) -> float:
    """Root mean square of the known force components, eV/Å; 1 where there are none."""
    known = frames.forces_A3[np.isfinite(frames.forces_A3)]
    size = float(np.sqrt(np.mean(known**2))) if len(known) else 0.0
    return size if size > 0 else 1.0


def compositions(frames: Frames) -> tuple[tuple[int, ...], ...]:
    """The sorted atomic numbers of each kind of molecule among the frames."""
    kinds = {
        tuple(sorted(frames.numbers[frames.atoms_of(frame)].tolist()))
        for frame in range(len(frames))
    }
    return tuple(sorted(kinds))
