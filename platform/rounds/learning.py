"""What a round trains, and the errors that it saw.

The ladder of the last training with fewer steps and no weights, and a committee: the best
pre-training fine-tuned again with other seeds. Every stage is found again by its key.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from forgefield.platform.forecasting.counts import Counts
from forgefield.platform.forecasting.outcomes import Kind, Outcome, Training
from forgefield.platform.planning.allocation import CHEAP, MIDDLE
from forgefield.platform.planning.round_settings import RoundSettings
from forgefield.platform.planning.training_fits import shorter
from forgefield.storage.records import Tier
from forgefield.storage.units import KCAL_PER_MOL_PER_EV
from forgefield.trainers.stages.asteroid import AsteroidSettings, TrainingOutcome, Trial, train
from forgefield.trainers.stages.asteroid_settings import Runner
from forgefield.trainers.stages.committee import committee
from forgefield.trainers.stages.endings import that_ended
from forgefield.trainers.stages.ladder import Ladder


@dataclass(frozen=True, slots=True)
class Learnt:
    """The ladder's outcome, and folders of the committee's force fields, the chosen one first."""

    outcome: TrainingOutcome
    members: tuple[Path, ...]


def learn(
    frames: Path,
    folder: Path,
    training: AsteroidSettings,
    rounds: RoundSettings,
    cheap: Sequence[Tier],
    runner: Runner,
) -> Learnt:
    """Train a round's force fields on a snapshot."""
    settings = shorter(training, rounds)
    outcome = train(frames, folder, settings, runner, cheap_tiers=cheap)
    best = outcome.best
    task = Ladder(frames, folder, settings, tuple(cheap)).finetune(best.pretrain.output, 1.0)
    others = that_ended(runner(committee((task,), rounds.committee)[1:]))
    members = (best.finetune.output, *(result.output for (result,) in others))
    return Learnt(outcome, members)


def outcomes_of(
    outcome: TrainingOutcome, counts: Counts, validation: int, effort: float
) -> tuple[Outcome, ...]:
    """Every error that single networks had on `validation` frames, with the labels behind it.

    Fine-tunings of the whole are the trials', one a rung; the curve adds those on parts. Stages
    took `effort` times the default steps.
    """
    how = validation, Training(effort)
    curve = [point for point in outcome.curve if point.validation is not None]
    scratch = [
        _outcome(Counts(point.frames), Kind.SCRATCH, point.validation, *how)
        for point in curve
        if point.kind == "standard"
    ]
    tuned = [
        _outcome(_behind(outcome.curve_start, point.frames, counts), Kind.TUNED, e, *how)
        for point, e in ((point, point.validation) for point in curve)
        if point.kind == "finetuned" and point.fraction < 1
    ]
    trials = [
        _outcome(_behind(trial, counts.target, counts), Kind.TUNED, e, *how)
        for trial, e in ((trial, trial.finetune.validation) for trial in outcome.trials)
        if e is not None
    ]
    return (*scratch, *tuned, *trials)


def best_error(outcome: TrainingOutcome) -> float:
    """Validation error of the chosen force field, kcal/mol/Å."""
    found = outcome.best.finetune.validation
    return float("inf") if found is None else found * KCAL_PER_MOL_PER_EV


def _outcome(
    counts: Counts, kind: Kind, error: float | None, frames: int, training: Training
) -> Outcome:
    return Outcome(counts, kind, (error or 0.0) * KCAL_PER_MOL_PER_EV, frames, training)


def _behind(trial: Trial, target: int, counts: Counts) -> Counts:
    """The labels that a fine-tuned rung knows of."""
    middle = counts.middle if MIDDLE in trial.tiers else 0
    cheap = counts.cheap if any(tier in CHEAP for tier in trial.tiers) else 0
    return Counts(target, middle, cheap)
