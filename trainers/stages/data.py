"""Frames of a stage: selected, referenced and weighted; arrays in, graph sets out.

The hold-out can't get here: frames are loaded by the purposes that a selection names, and a
selection that names the hold-out is refused.

Legend: `F` frames.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.records import Array, Purpose, Tier
from forgefield.trainers.force_field import ForceField
from forgefield.trainers.graphs import GraphSet
from forgefield.trainers.references import reference_sums, relative_energies
from forgefield.trainers.stages.tasks import Phase, Selection
from forgefield.trainers.stages.weighting import Weights, biases, weights


@dataclass(frozen=True, slots=True, eq=False)
class PhaseData:
    """Frames of a phase with their weights (`None` where all weigh alike)."""

    frames: Frames
    weight_F: Array
    weights: Weights | None


def chosen(frames: Frames, selection: Selection) -> Frames:
    """The frames of a selection in the order of its shuffle.

    Raises `InputError` for the hold-out, or when nothing is left.
    """
    if Purpose.HOLDOUT in selection.purposes:
        raise InputError("training may not read the hold-out; select other purposes")
    parts = [frames.of_tier(tier) for tier in selection.tiers]
    pool = Frames.concatenate(parts).of_purpose(*selection.purposes)
    pool = pool.select(with_forces(pool))
    if not len(pool):
        names = ", ".join(selection.tiers)
        raise InputError(f"no frames with forces of {names} to train or validate on: label some")
    kept = [_first(pool.of_tier(tier), selection) for tier in selection.tiers]
    return Frames.concatenate([part for part in kept if len(part)])


def with_forces(frames: Frames) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which frames have all their forces, (F,)."""
    known = np.isfinite(frames.forces_A3).all(axis=1)
    sums = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(~known)])
    return np.asarray(sums[frames.ptr[1:]] == sums[frames.ptr[:-1]])


def _first(frames: Frames, selection: Selection) -> Frames:
    ordered = frames.select(np.argsort(frames.seq_F, kind="stable"))
    shuffled = np.random.default_rng(selection.seed).permutation(len(ordered))
    count = max(1, round(selection.fraction * len(ordered))) if len(ordered) else 0
    return ordered.select(shuffled[:count])


def phase_data(
    frames: Frames, phase: Phase, teacher: ForceField | None, c: float | None
) -> PhaseData:
    """Select the frames of a phase and weigh them by their bias against `teacher`."""
    selected = chosen(frames, phase.frames)
    found = None
    weight_F = np.ones(len(selected))
    if teacher is not None:
        found = weights(biases(teacher.predict(selected)[1], selected), c)
        weight_F = found.weight_F
    if phase.equal_mass:
        weight_F = equal_mass(weight_F, selected.method_F)
    return PhaseData(selected, weight_F, found)


def equal_mass(weight_F: Array, group_F: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Array:
    """Scale weights so that each group has the same sum, and all of them mean 1."""
    _, group = np.unique(group_F, return_inverse=True)
    sums = np.bincount(group, weights=weight_F)
    return np.asarray(weight_F / sums[group] * len(weight_F) / len(sums))


def target_frames(frames: Frames, target: Tier, selection: Selection) -> Frames | None:
    """Training frames of the target tier, for its references; `None` where there are none."""
    if not len(frames.of_tier(target)):
        return None
    own = selection.tiers == (target,)
    return chosen(frames, selection if own else Selection(tiers=(target,)))


def graphs_of(
    data: Frames,
    cutoff: float,
    scale: float,
    references: Mapping[int, float] | None = None,
    weight_F: Array | None = None,
) -> GraphSet:
    """Graphs with labels in units of `scale`, energies relative to `references`.

    Without references each method's own are fitted to its frames.
    """
    if references is None:
        energy_F = relative_energies(data)
    else:
        energy_F = data.energy_F - reference_sums(data, references)
    return GraphSet(data, cutoff, energy_F=energy_F, weight_F=weight_F, scale=scale)
