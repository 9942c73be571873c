"""Frames of a stage: selected, referenced and weighted; arrays in, graph sets out.

The hold-out can't get here: frames are loaded by the purposes that a selection names, and a
selection that names the hold-out is refused.

Legend: `F` frames. Units: eV, eV/Å.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from forgefield.storage.errors import InputError
from forgefield.storage.frames import Frames
from forgefield.storage.records import Array, Method, Purpose, Tier
from forgefield.storage.splitting import COLUMN, SPLITS
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


def chosen(frames: Frames, selection: Selection, *, labelled: bool = True) -> Frames:
    """The frames of a selection in the order of its shuffle; those with forces if `labelled`.

    Labels of an energy alone are dropped then: no stage trains on them, however many there are.

    Raises `InputError` for the hold-out, for a molecule that isn't there, or when nothing is left.
    """
    if Purpose.HOLDOUT in selection.purposes:
        raise InputError("training may not read the hold-out; select other purposes")
    parts = [frames.of_tier(tier) for tier in selection.tiers]
    pool = Frames.concatenate(parts).of_purpose(*selection.purposes)
    pool = of_split(of_molecules(pool, selection.molecules), selection.split)
    if labelled:
        pool = pool.select(with_forces(pool))
    if not len(pool):
        names = ", ".join(selection.tiers)
        purposes = " or ".join(purpose.name.lower() for purpose in selection.purposes)
        among = f" in the split {selection.split}" if selection.split else ""
        raise InputError(
            f"no frames with forces of {names} for {purposes}{among} to train or validate on: "
            "label or import some, or select others"
        )
    kept = [_first(pool.of_tier(tier), selection) for tier in selection.tiers]
    return Frames.concatenate([part for part in kept if len(part)])


def of_molecules(frames: Frames, molecules: tuple[str, ...]) -> Frames:
    """The frames of these molecules, of all where none is named."""
    missing = sorted(set(molecules) - set(frames.molecules))
    if missing:
        there = ", ".join(sorted(frames.molecules)) or "none"
        raise InputError(f"no frames of {', '.join(missing)} here; the molecules are: {there}")
    wanted = [place for place, name in enumerate(frames.molecules) if name in molecules]
    return frames.select(np.isin(frames.molecule_F, wanted)) if molecules else frames


def of_split(frames: Frames, split: str | None) -> Frames:
    """The frames of a split that `platform split` recorded; raises `InputError` where none is."""
    if split is None:
        return frames
    if COLUMN not in frames.added_F:
        raise InputError(
            "these frames have no split; `platform split` records one, or leave split out"
        )
    return frames.select(frames.added_F[COLUMN] == SPLITS.index(split))


def with_forces(frames: Frames) -> NDArray[np.bool_]:
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
    """Select the frames of a phase and weigh them by their bias against `teacher`.

    Score matching reads no labels, so there is nothing to weigh.
    """
    by_label = phase.objective == "labels"
    selected = chosen(frames, phase.frames, labelled=by_label)
    found = None
    weight_F = np.ones(len(selected))
    if teacher is not None and by_label:
        bias_F = biases(teacher.predict(selected)[1], selected)
        found = weights(bias_F, c, selected.molecule_F)
        weight_F = found.weight_F
    if phase.equal_mass:
        weight_F = equal_mass(weight_F, selected.method_F)
    return PhaseData(selected, weight_F, found)


def equal_mass(weight_F: Array, group_F: NDArray[np.int64]) -> Array:
    """Scale weights so that each group has the same sum, and all of them mean 1."""
    _, group = np.unique(group_F, return_inverse=True)
    sums = np.bincount(group, weights=weight_F)
    return np.asarray(weight_F / sums[group] * len(weight_F) / len(sums))


def target_frames(frames: Frames, target: Tier, selection: Selection) -> Frames | None:
    """Training frames of the target tier, for its references; `None` where there are none.

    They are of the molecules of `selection` as far as those have any.
    """
    there = of_split(of_molecules(frames, selection.molecules), selection.split).of_tier(target)
    there = there.of_purpose(*Selection(tiers=(target,)).purposes)
    if not with_forces(there).any():
        return None
    own = selection.tiers == (target,)
    wider = Selection(tiers=(target,), molecules=selection.molecules, split=selection.split)
    return chosen(frames, selection if own else wider)


def less_base(frames: Frames, base: ForceField | None) -> Frames:
    """What `base` leaves of the labels: energies and forces of Δ-learning."""
    if base is None:
        return frames
    energy_F, forces_A3 = base.predict(frames)
    return replace(
        frames, energy_F=frames.energy_F - energy_F, forces_A3=frames.forces_A3 - forces_A3
    )


def heads_of(frames: Frames, heads: tuple[str, ...], other: int) -> NDArray[np.int64]:
    """The head of each frame, (F,): that named by its method or tier, or else `other`."""
    place = [head_of(method, heads, other) for method in frames.methods]
    return np.array(place, dtype=np.int64)[frames.method_F]


def trained_heads(frames: Frames, heads: tuple[str, ...], other: int) -> NDArray[np.int64]:
    """The head that each frame trains, (F,); `other` only where heads have no names.

    Raises `InputError` for a frame whose method has none: it would teach another method's head.
    """
    for place in np.unique(frames.method_F) if heads else ():
        method = frames.methods[place]
        if head_of(method, heads, -1) < 0:
            raise InputError(
                f"frames of {method.name} ({method.tier}) have no head; the heads are: "
                f"{', '.join(heads)}. Name the method or its tier among them, or leave it out."
            )
    return heads_of(frames, heads, other)


def head_of(method: Method, heads: tuple[str, ...], other: int) -> int:
    """Place of a method among `heads`; its name goes before its tier."""
    for name in (method.name, method.tier.value):
        if name in heads:
            return heads.index(name)
    return other


def graphs_of(
    data: Frames,
    cutoff: float,
    scale: float,
    references: Mapping[Method, Mapping[int, float]] | None = None,
    weight_F: Array | None = None,
    head_F: NDArray[np.int64] | None = None,
    device: str = "cpu",
) -> GraphSet:
    """Graphs with labels in units of `scale`, energies relative to reference energies.

    `references` has those of some methods; others' are fitted to their frames.
    """
    energy_F = relative_energies(data)
    for place, method in enumerate(data.methods):
        mask = data.method_F == place
        if references and method in references and mask.any():
            part = data.select(mask)
            energy_F[mask] = part.energy_F - reference_sums(part, references[method])
    return GraphSet(
        data,
        cutoff,
        energy_F=energy_F,
        weight_F=weight_F,
        head_F=head_F,
        scale=scale,
        device=device,
    )
