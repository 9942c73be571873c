"""The training phase of a campaign: three stages and baseline under Ray Train, then the errors."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from forgefield.platform.evaluating import Evaluation, evaluate_run
from forgefield.platform.interrupts import leave_if_pressed
from forgefield.platform.planning.own_frames import own_frames
from forgefield.platform.planning.plan import Plan
from forgefield.platform.repeating import repeating
from forgefield.platform.replay_errors import measure_on_test_frames
from forgefield.platform.run_folder import RunFolder, write_atomically
from forgefield.platform.screen.reporter import Once, Reporter
from forgefield.platform.screen.wording import UNIT, three_digits
from forgefield.platform.snapshots import snapshot
from forgefield.storage.errors import BudgetExhausted, TrainingDiverged
from forgefield.storage.frame_store import dataset_version
from forgefield.storage.frames import TRAINING_PURPOSES, Frames
from forgefield.storage.records import Purpose, Tier
from forgefield.trainers import force_field
from forgefield.trainers.ray_train import (
    RaySettings,
    endings_of,
    gpus_at_hand,
    gpus_seen,
)
from forgefield.trainers.stages.asteroid import TrainingOutcome, train
from forgefield.trainers.stages.asteroid_settings import Chain, Runner
from forgefield.trainers.stages.data import with_forces
from forgefield.trainers.stages.endings import Ending
from forgefield.trainers.stages.names import in_words
from forgefield.trainers.stages.progress import PROGRESS, unfinished
from forgefield.trainers.stages.tasks import StageResult
from forgefield.trainers.uncertainty.committee import calibrated, of_folders

POLL_S = 1.0


def train_run(folder: RunFolder, plan: Plan, cores: int, reporter: Reporter) -> TrainingOutcome:
    """All stages; what was trained before on the same frames is taken as it is."""
    target = plan.recipe.training.target
    frames, store = _trainable(folder, plan, reporter)
    refuse_untrainable(frames, target, plan.budget)
    at_hand = [tier for tier in Tier if tier != target and len(frames.of_tier(tier))]
    reporter.say("Training: baseline, pre-training and fine-tuning, chosen by validation …")
    workers = plan.training.workers
    with running_stages(folder.training, cores, reporter, workers=workers) as runner:
        outcome = train(store, folder.training, plan.training, runner, cheap_tiers=at_hand)
    write_atomically(folder.outcome, outcome.model_dump_json(indent=1))
    publish(outcome, frames.of_tier(target), folder)
    return outcome


def publish(outcome: TrainingOutcome, accurate: Frames, folder: RunFolder) -> None:
    """Put force field and baseline into the run, committees calibrated on validation frames."""
    validation = accurate.of_purpose(Purpose.VALIDATION)
    validation = validation.select(with_forces(validation))
    _publish(outcome.members, folder.force_field, validation)
    _publish(outcome.baseline_members, folder.baseline, validation)


def _trainable(folder: RunFolder, plan: Plan, reporter: Reporter) -> tuple[Frames, Path]:
    """The run's frames of the plan's methods, and a store with nothing else."""
    frames, left_out = own_frames(folder.frames, plan.methods)
    if not left_out:
        return frames, folder.frames
    for said in left_out:
        reporter.say(f"{said}.")
    version = dataset_version(folder.frames).hash[:12]
    return frames, snapshot(frames, folder.training / f"frames-{version}.zarr")


@contextmanager
def running_stages(
    folder: Path,
    cores: int,
    reporter: Reporter,
    check: Callable[[], None] | None = None,
    *,
    workers: int = 1,
) -> Iterator[Runner]:
    """Stages under Ray Train into `folder`, on `cores` or all GPUs at hand, with their bars.

    Each has `workers` of them, or what there is. `check` is called about once a second and may
    raise; a Ctrl-C that was lost is raised again then.
    """
    gpus = gpus_at_hand()
    if gpus < gpus_seen():
        reporter.say("Ray sees a GPU, but PyTorch is built without CUDA: training takes the cores.")
    slots = gpus or max(1, cores)
    each = min(workers, slots)
    settings = RaySettings(
        storage=folder / "ray",
        progress=folder / PROGRESS,
        parallel=slots // each,
        workers=each,
        gpu=gpus > 0,
    )

    def look() -> None:
        leave_if_pressed()
        if check is not None:
            check()

    def run(chains: Sequence[Chain]) -> list[Ending]:
        endings = endings_of(chains, settings, look)
        for ending in endings:
            if isinstance(ending, TrainingDiverged):
                reporter.say(f"A training is left out if the others do without it. {ending}")
        return endings

    with progress_bars(settings.progress, folder, reporter):
        yield run


def refuse_untrainable(frames: Frames, target: Tier, budget: str) -> None:
    """Raise `BudgetExhausted` where the money bought too little to train and choose by."""
    bought = {p: len(frames.of_tier(target).of_purpose(p)) for p in TRAINING_PURPOSES}
    fitted = bought[Purpose.CALIBRATION] + bought[Purpose.TRAIN]
    if not (fitted and bought[Purpose.VALIDATION]):
        raise BudgetExhausted(
            f"{budget} bought {fitted} {target} labels to train on and "
            f"{bought[Purpose.VALIDATION]} for validation: too few for a force field. Plan a "
            "larger budget with another --workdir beside this one; it takes these labels from the "
            "label book."
        )


@contextmanager
def progress_bars(progress: Path, finished: Path, reporter: Reporter) -> Iterator[None]:
    """Draw what stages report in `progress`, until they have a folder in `finished`.

    What a fit has to say to people is said once, however many say it.
    """
    shown, say_once = set[str](), Once(reporter.say)

    def draw() -> None:
        going = dict(unfinished(progress, finished))
        for name in shown - going.keys():
            reporter.end(in_words(name))
        for name, line in going.items():
            error = line.best_kcal
            detail = "" if error is None else f"{three_digits(error)} {UNIT}"
            reporter.bar(in_words(name), line.fit.step, line.fit.steps, detail)
            say_once(line.fit.said)
        shown.update(going)

    shutil.rmtree(progress, ignore_errors=True)
    try:
        with repeating(draw, POLL_S, "training progress"):
            yield
    finally:
        for name in shown:
            reporter.end(in_words(name))


def evaluate_and_keep(folder: RunFolder) -> Evaluation:
    """Errors on the hold-out, and on a replay's test frames, written beside the force field."""
    measure_on_test_frames(folder)
    found = evaluate_run(folder)
    write_atomically(folder.evaluation, found.model_dump_json(indent=1))
    return found


def _publish(trained: Sequence[StageResult], place: Path, validation: Frames) -> None:
    """Copy a force field, or save a committee, to its place in the run: whole or absent."""
    for word in ("partial", "old"):
        for cut_off in place.parent.glob(f"{place.name}.{word}-*"):
            shutil.rmtree(cut_off, ignore_errors=True)
    folders = [result.output for result in trained]
    if len(folders) > 1:
        calibrated(of_folders(folders), validation).save(place)
    else:
        _copy(folders[0], place)


def _copy(trained: Path, place: Path) -> None:
    partial = place.with_name(f".{place.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(trained, partial)
    for path in (*partial.rglob("*"), partial):
        force_field.sync(path)
    force_field.publish(partial, place)
