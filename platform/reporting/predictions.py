"""What the force fields say of the frames that the report draws; the only part that needs torch.

Legend: `F` frames, `A` atoms. Forces in eV/Å here; figures convert.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from forgefield.platform.planning.own_frames import held_out
from forgefield.platform.reporting.facts import Facts
from forgefield.platform.run_folder import RunFolder
from forgefield.storage.frames import Frames
from forgefield.storage.records import Array, Purpose, Tier
from forgefield.trainers.evaluation import Interval, errors
from forgefield.trainers.force_field import ForceField, Metadata
from forgefield.trainers.loading import load_force_field
from forgefield.trainers.stages.asteroid import TrainingOutcome, Trial
from forgefield.trainers.stages.data import with_forces
from forgefield.trainers.stages.weighting import biases
from forgefield.trainers.uncertainty.calibration import Calibration
from forgefield.trainers.uncertainty.committee import Committee

MOST_BIAS_FRAMES = 400
"""Cheap frames a tier whose bias is drawn; the first by sequence number."""


@dataclass(frozen=True, slots=True, eq=False)
class HoldOut:
    """Target-tier frames that nothing was trained on, and forces (A, 3) predicted for them.

    `sigma_A` (A,) is what a committee with this `calibration` expects of its force components.
    """

    frames: Frames
    force_field: Array
    baseline: Array
    sigma_A: Array | None = None
    calibration: Calibration | None = None

    @property
    def both(self) -> Mapping[str, Array]:
        """Predictions by the name that people see."""
        return {"force field": self.force_field, "standard training": self.baseline}


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Errors after training on `frames` accurate labels: hold-out kcal/mol/Å, validation eV/Å."""

    kind: str
    frames: int
    holdout: Interval
    validation: float | None


@dataclass(frozen=True, slots=True, eq=False)
class TierBias:
    """Bias (F,) of a cheap tier's frames in eV/Å, and the γ they were weighted by, if any."""

    tier: Tier
    bias_F: Array
    gamma: float | None
    labels: int


def hold_out(facts: Facts) -> HoldOut | None:
    """Predictions of both force fields; None where frames or force fields are missing."""
    folders = (facts.folder.force_field, facts.folder.baseline)
    frames = hold_out_frames(facts)
    if frames is None or not all(folder.is_dir() for folder in folders):
        return None
    found, baseline = (load_force_field(folder) for folder in folders)
    if not isinstance(found, Committee):
        return HoldOut(frames, found.predict(frames)[1], baseline.predict(frames)[1])
    said = found.judge(frames)
    known = found.calibration
    sigma_A = None if known is None else known.sigma(said.spread_A)
    return HoldOut(frames, said.forces_A3, baseline.predict(frames)[1], sigma_A, known)


def hold_out_frames(facts: Facts) -> Frames | None:
    """The hold-out frames with forces; None where there are none."""
    if facts.frames is None:
        return None
    frames = held_out(facts.frames, None if facts.plan is None else facts.plan.methods)
    frames = frames.select(with_forces(frames))
    return frames if len(frames) else None


def curve_points(facts: Facts) -> tuple[CurvePoint, ...]:
    """The learning curve on the hold-out; points whose force field is gone are left out."""
    frames = hold_out_frames(facts)
    if frames is None or facts.outcome is None:
        return ()
    points = []
    for point in facts.outcome.curve:
        folder = find_folder(facts.folder, point.force_field)
        if folder is None:
            continue
        energy_F, forces_A3 = ForceField.load(folder).predict(frames)
        holdout = errors(energy_F, forces_A3, frames).force_mae_kcal
        points.append(CurvePoint(point.kind, point.frames, holdout, point.validation))
    return tuple(points)


def tier_biases(facts: Facts) -> tuple[TierBias, ...]:
    """Bias of the cheap frames against the teacher, tier by tier of the chosen pre-training."""
    if facts.outcome is None or facts.frames is None:
        return ()
    teacher = find_folder(facts.folder, facts.outcome.baseline.output)
    if teacher is None:
        return ()
    network = ForceField.load(teacher)
    biased = []
    for tier, gamma in gammas(facts.outcome).items():
        frames = facts.frames.of_tier(tier).of_purpose(Purpose.TRAIN, Purpose.CALIBRATION)
        frames = frames.select(with_forces(frames))
        some = frames.select(np.argsort(frames.seq_F, kind="stable")[:MOST_BIAS_FRAMES])
        if len(some):
            bias_F = biases(network.predict(some)[1], some)
            biased.append(TierBias(tier, bias_F, gamma, len(frames)))
    return tuple(biased)


def climbed(outcome: TrainingOutcome) -> list[Trial]:
    """The rungs of pre-training on the way to the chosen one, which is the last."""
    best = outcome.best
    below = [
        trial
        for trial in outcome.trials
        if trial.tiers == best.tiers[: len(trial.tiers)]
        and (trial.cs == best.cs[: len(trial.cs)] if best.cs else trial.c == best.c)
    ]
    return sorted(below, key=lambda trial: len(trial.tiers))


def gammas(outcome: TrainingOutcome) -> dict[Tier, float | None]:
    """γ in eV/Å of each tier that was pre-trained on, from the rung that brought it in."""
    found: dict[Tier, float | None] = {}
    for rung in climbed(outcome):
        new = [tier for tier in rung.tiers if tier not in found]
        found |= dict.fromkeys(new, rung.gammas[-1] if rung.gammas else None)
    return found


def description(folder: Path | None) -> Metadata | None:
    """What a saved force field says of itself; None where there is none."""
    if folder is None or not folder.is_dir():
        return None
    return load_force_field(folder).metadata


def find_folder(folder: RunFolder, path: Path) -> Path | None:
    """A stage's folder by its recorded path, or by its name where the run was moved."""
    for place in (path, folder.training / path.name):
        if (place / "force_field.json").exists():
            return place
    return None
