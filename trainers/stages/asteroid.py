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

from forgefield.storage.errors import TrainingDiverged
from forgefield.storage.records import Tier
from forgefield.trainers.stages.asteroid_settings import (
    AsteroidSettings,
    Chain,
    CurvePoint,
    PhaseSettings,
    Runner,
    TrainingOutcome,
    Trial,
)
from forgefield.trainers.stages.committee import committee
from forgefield.trainers.stages.endings import Ending, that_ended, whole
from forgefield.trainers.stages.ladder import Ladder, Rung, chain_of, trials_of, way_to
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

    def run(chain: Chain) -> Ending:
        try:
            return tuple(run_stage(task, progress, device=device) for task in chain)
        except TrainingDiverged as error:
            return error

    return lambda chains: [run(chain) for chain in chains]


def train(
    frames: Path,
    folder: Path,
    settings: AsteroidSettings,
    runner: Runner,
    *,
    cheap_tiers: Sequence[Tier],
) -> TrainingOutcome:
    """Run all stages into `folder`; `cheap_tiers` are those that have frames in the store.

    What diverges is left out where the rest makes a force field: a climb of several, members of a
    committee, a curve. Raises `InputError` where no phase of pre-training has frames,
    `TrainingDiverged` without stage 1 or any climb.
    """
    ladder = Ladder(frames, folder, settings, tuple(cheap_tiers))
    standard = (ladder.standard(1.0),)
    climbs = ladder.climbs(standard[0].output)
    baselines = committee(standard, settings.members)
    chains = [standard, *map(chain_of, climbs), ladder.standard_curve(), *baselines[1:]]
    first, *endings = runner(chains)
    (baseline,) = whole(first)
    climbed, (curve, *others_of_baseline) = endings[: len(climbs)], endings[len(climbs) :]
    kept = _with_results(climbs, climbed) or [(climbs[0], whole(climbed[0]))]
    climbs = [climb for climb, _ in kept]
    trials = tuple(trial for climb, results in kept for trial in trials_of(climb, results))
    chosen, curved = best_of(trials), best_of(trials, unweighted=True)
    way = way_to([rung for climb in climbs for rung in climb][chosen], climbs)
    finetuned_curve = ladder.finetuned_curve(trials[curved].pretrain.output)
    *others, tuned = runner([*committee(way, settings.members)[1:], finetuned_curve])
    points = (
        *_points("standard", settings.curve, curve, baseline),
        *_points("finetuned", settings.curve, tuned, trials[curved].finetune),
    )
    return TrainingOutcome(
        baseline=baseline,
        trials=trials,
        chosen=chosen,
        curve=points,
        curved=curved,
        others=tuple(results[-1] for results in that_ended(others)),
        baseline_others=tuple(result for (result,) in that_ended(others_of_baseline)),
    )


def best_of(trials: Sequence[Trial], *, unweighted: bool = False) -> int:
    """Place of the smallest validation error; among `unweighted` trials where there are any."""
    free = [place for place, trial in enumerate(trials) if trial.unweighted]
    places = free if unweighted and free else range(len(trials))
    return min(places, key=lambda place: _score(trials[place].finetune))


def _with_results(
    climbs: Sequence[list[Rung]], endings: Sequence[Ending]
) -> list[tuple[list[Rung], tuple[StageResult, ...]]]:
    """The climbs that ended, each with its results."""
    pairs = zip(climbs, endings, strict=True)
    return [(climb, each) for climb, each in pairs if not isinstance(each, TrainingDiverged)]


def _points(
    kind: Literal["standard", "finetuned"],
    fractions: Sequence[float],
    curve: Ending,
    end: StageResult,
) -> list[CurvePoint]:
    """Those of a curve, if it didn't diverge, and the one of all frames."""
    parts = () if isinstance(curve, TrainingDiverged) else curve
    fractions, results = (*fractions[: len(parts)], 1.0), (*parts, end)
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
