"""The three stages of ASTEROID, the baseline and the learning curve, wired on one page.

How tasks are run is the caller's business: a *runner* takes chains of tasks that don't depend on
each other and returns their results in order (`plain_runner` here, `ray_train.run_stages` in
parallel). Orchestration is a function of the settings and the data: called again after a crash
it finds finished stages and goes on with the rest.

    stage 1 ──┬─ for each c: rung ─┬─ rung ─┬─ …      choose a fine-tuned rung ── its curve
    (baseline)│             fine-tuning  fine-tuning
              └─ curve of the baseline on nested subsets

Each rung is fine-tuned, because a dearer method is not always a nearer one (LOG.md). Every
choice is by the validation frames. The hold-out is unknown here.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from forgefield.storage.records import Tier
from forgefield.trainers.stages.asteroid_settings import (
    AsteroidSettings,
    CurvePoint,
    PhaseSettings,
    Runner,
    TrainingOutcome,
    Trial,
)
from forgefield.trainers.stages.ladder import Ladder, chain_of, trials_of
from forgefield.trainers.stages.tasks import StageResult, WatchStage

__all__ = [
    "AsteroidSettings",
    "CurvePoint",
    "PhaseSettings",
    "TrainingOutcome",
    "Trial",
    "plain_runner",
    "train",
]


def plain_runner(progress: WatchStage | None = None, *, device: str = "cpu") -> Runner:
    """Runs tasks one after another in this process."""
    from forgefield.trainers.stages.running import run_stage

    return lambda chains: [
        tuple(run_stage(task, progress, device=device) for task in chain) for chain in chains
    ]


def train(
    frames: Path,
    folder: Path,
    settings: AsteroidSettings,
    runner: Runner,
    *,
    cheap_tiers: Sequence[Tier],
) -> TrainingOutcome:
    """Run all stages into `folder`; `cheap_tiers` are those that have frames in the store.

    Raises `InputError` where no phase of pre-training has frames.
    """
    ladder = Ladder(frames, folder, settings, tuple(cheap_tiers))
    ((baseline,),) = runner([(ladder.standard(1.0),)])
    climbs = ladder.climbs(baseline.output)
    *climbed, standard = runner([*(chain_of(climb) for climb in climbs), ladder.standard_curve()])
    trials = tuple(
        trial
        for climb, results in zip(climbs, climbed, strict=True)
        for trial in trials_of(climb, results)
    )
    chosen = min(range(len(trials)), key=lambda place: _score(trials[place].finetune))
    (tuned,) = runner([ladder.finetuned_curve(trials[chosen].pretrain.output)])
    fractions = (*settings.curve, 1.0)
    points = (
        *_points("standard", fractions, (*standard, baseline)),
        *_points("finetuned", fractions, (*tuned, trials[chosen].finetune)),
    )
    return TrainingOutcome(baseline=baseline, trials=trials, chosen=chosen, curve=points)


def _points(
    kind: Literal["standard", "finetuned"],
    fractions: Sequence[float],
    results: Sequence[StageResult],
) -> list[CurvePoint]:
    return [
        CurvePoint(
            kind=kind,
            fraction=fraction,
            frames=result.phases[-1].frames,
            validation=result.validation,
            force_field=result.output,
        )
        for fraction, result in zip(fractions, results, strict=True)
    ]


def _score(result: StageResult) -> float:
    return float("inf") if result.validation is None else result.validation
