"""The three stages of ASTEROID, the baseline and the learning curve, wired on one page.

How tasks are run is the caller's business: a *runner* takes chains of tasks, of which each needs
none but earlier ones, and returns their results in order (`plain_runner` here,
`ray_train.run_stages` in parallel). Orchestration is a function of the settings and the data:
called again after a crash it finds finished stages and goes on with the rest.

    stage 1 ──── for each c: rung ─┬─ rung ─┬─ …      choose a fine-tuned rung, and train its
    (baseline)              fine-tuning  fine-tuning   way up again for the committee's others;
    its curve on subsets, its committee's others       curve of the best unweighted one

Rungs without weights don't wait for stage 1: they go up beside it. There are two calls of the
runner, before the choice and after it, each with the longest chains first: no core idles early.

Each rung is fine-tuned, because a dearer method is not always a nearer one (LOG.md). Every
choice is by the validation frames. The hold-out is unknown here.

Weights come from stage 1, so from all accurate frames: fine-tuning a weighted rung on a part of
them would be a curve that has seen the rest. All its points start from the best rung without any
weights instead, which costs no stage more. Only where no c is null they start from the chosen
rung; then `TrainingOutcome.curve_knows_all` is true, and reports say so.
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
from forgefield.trainers.stages.committee import committee
from forgefield.trainers.stages.ladder import Ladder, chain_of, trials_of, way_to
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
    standard = (ladder.standard(1.0),)
    climbs = ladder.climbs(standard[0].output)
    baselines = committee(standard, settings.members)
    chains = [standard, *map(chain_of, climbs), ladder.standard_curve(), *baselines[1:]]
    (baseline,), *ended = runner(chains)
    climbed, (curve, *others_of_baseline) = ended[: len(climbs)], ended[len(climbs) :]
    pairs = zip(climbs, climbed, strict=True)
    trials = tuple(trial for climb, found in pairs for trial in trials_of(climb, found))
    chosen, curved = best_of(trials), best_of(trials, unweighted=True)
    way = way_to([rung for climb in climbs for rung in climb][chosen], climbs)
    finetuned_curve = ladder.finetuned_curve(trials[curved].pretrain.output)
    *others, tuned = runner([*committee(way, settings.members)[1:], finetuned_curve])
    fractions = (*settings.curve, 1.0)
    points = (
        *_points("standard", fractions, (*curve, baseline)),
        *_points("finetuned", fractions, (*tuned, trials[curved].finetune)),
    )
    return TrainingOutcome(
        baseline=baseline,
        trials=trials,
        chosen=chosen,
        curve=points,
        curved=curved,
        others=tuple(results[-1] for results in others),
        baseline_others=tuple(result for (result,) in others_of_baseline),
    )


def best_of(trials: Sequence[Trial], *, unweighted: bool = False) -> int:
    """Place of the smallest validation error; among `unweighted` trials where there are any."""
    free = [place for place, trial in enumerate(trials) if trial.unweighted]
    places = free if unweighted and free else range(len(trials))
    return min(places, key=lambda place: _score(trials[place].finetune))


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
