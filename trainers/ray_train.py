"""Stages under Ray Train: the only file of this room that knows Ray.

Each chain of stages is one `TorchTrainer.fit` inside a Ray task named after them, so that trials
run side by side and the dashboard reads well. The stage itself is `run_stage`, unchanged: it
publishes its own folder, and its own checkpoint survives the worker. When a worker dies Ray
starts another, which goes on from there.

Progress comes back as small JSON files in a folder that worker and driver share, read by
`stages.progress`; it never blocks or fails a stage. Metrics go to Ray Train as well.

An error of ours inside a stage comes out of `run_stages` as itself. Ray would hand it on as text
inside errors of its own, so the worker leaves it in a file. One that the user has to mend isn't
tried again.
"""

import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import ray
import ray.train
from pydantic import Field
from ray.exceptions import RayTaskError
from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig

from forgefield.storage.documents import Document
from forgefield.storage.errors import (
    ForgefieldError,
    InputError,
    MissingProgram,
    StorageError,
    TrainingDiverged,
)
from forgefield.trainers.last_words import raise_last_words, write_last_words
from forgefield.trainers.stages.endings import Ending, whole
from forgefield.trainers.stages.finished import finished_chain
from forgefield.trainers.stages.progress import begun, write_progress
from forgefield.trainers.stages.side_by_side import side_by_side
from forgefield.trainers.stages.tasks import StageProgress, StageResult, StageTask

LIGHT = {
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    "RAY_TRAIN_ENABLE_STATE_ACTOR_RECONCILIATION": "0",
}
"""Ray Train passes these on to its controller and workers. Stages last seconds to minutes: one
process fewer to start, and an end that is noticed at once."""


CHECK_S = 1.0
TO_BE_MENDED = (InputError, MissingProgram, TrainingDiverged)
"""Errors that come again, however often a stage is tried: a fit goes the same way each time."""


class RaySettings(Document):
    """How stages run on the cluster: `workers` processes a stage, each with `threads` or a GPU.

    `storage` is where Ray Train keeps its own files, `progress` where progress files go; both
    have to be seen by all nodes. `retries` is how often a dead worker is replaced; the others of
    its stage start again with it, from the last checkpoint.
    """

    storage: Path
    progress: Path
    parallel: int = Field(default=2, ge=1)
    workers: int = Field(default=1, ge=1)
    gpu: bool = False
    retries: int = Field(default=2, ge=0)


def run_stages(
    chains: Sequence[Sequence[StageTask]],
    settings: RaySettings,
    check: Callable[[], None] | None = None,
) -> list[tuple[StageResult, ...]]:
    """Run chains of stages, `parallel` at a time; results in their order.

    A chain waits for those named before it that make a force field it needs. `check` is called
    while they run, about once a second, and may raise to leave them.

    The stages of a chain share one `TorchTrainer`: starting one costs more than a short stage.
    Finished chains are found without starting a worker. Raises what a stage raised.
    """
    return [whole(ending) for ending in endings_of(chains, settings, check)]


def endings_of(
    chains: Sequence[Sequence[StageTask]],
    settings: RaySettings,
    check: Callable[[], None] | None = None,
) -> list[Ending]:
    """The same in their order when all are over: some may have diverged."""
    found = dict(stage_endings(chains, settings, check))
    return [found[place] for place in range(len(chains))]


def stage_endings(
    chains: Sequence[Sequence[StageTask]],
    settings: RaySettings,
    check: Callable[[], None] | None = None,
) -> Iterator[tuple[int, Ending]]:
    """The same, place and ending of a chain as soon as it is over: some may diverge."""

    def over(running: list[Any]) -> list[tuple[Any, Ending]]:
        ready, _ = ray.wait(running, num_returns=1, timeout=CHECK_S)
        if check is not None:
            check()
        return [(reference, _ending(reference)) for reference in ready]

    return side_by_side(chains, settings.parallel, lambda chain: _submit(chain, settings), over)


def gpus_seen() -> int:
    """GPUs of the cluster that this process has joined, as Ray counts them: by their driver."""
    return int(ray.cluster_resources().get("GPU", 0))


def gpus_at_hand() -> int:
    """Those to train on: none where PyTorch is built without CUDA.

    Only the build is asked for, which all nodes share: the GPUs may be in other machines.
    """
    seen = gpus_seen()
    if not seen:
        return 0
    import torch

    return seen if torch.backends.cuda.is_built() else 0  # type: ignore[no-untyped-call]


def _ending(reference: Any) -> Ending:  # noqa: ANN401  (a reference)
    try:
        return _results(reference)
    except TrainingDiverged as error:
        return error


def _results(reference: Any) -> tuple[StageResult, ...]:  # noqa: ANN401  (a reference)
    try:
        texts = ray.get(reference)
    except RayTaskError as error:
        if isinstance(error.cause, ForgefieldError):
            raise error.cause from None
        raise
    return tuple(StageResult.model_validate_json(text) for text in texts)


def _submit(chain: Sequence[StageTask], settings: RaySettings) -> Any:  # noqa: ANN401  (a reference)
    remote = ray.remote(num_cpus=0, max_retries=0)(run_under_ray)
    named = remote.options(name="train " + " + ".join(task.name for task in chain))
    return named.remote([task.model_dump_json() for task in chain], settings.model_dump_json())


def run_under_ray(tasks_json: Sequence[str], settings_json: str) -> list[str]:
    """A chain of stages by one `TorchTrainer`; runs in a Ray task of its own. Returns JSON."""
    from ray.train.torch import TorchConfig, TorchTrainer

    chain = [StageTask.model_validate_json(text) for text in tasks_json]
    settings = RaySettings.model_validate_json(settings_json)
    for name, value in LIGHT.items():
        os.environ.setdefault(name, value)
    before, said = _finished_names(chain), _last_words(chain, settings)
    said.unlink(missing_ok=True)
    trainer = TorchTrainer(
        _train_loop,
        train_loop_config={"tasks": list(tasks_json), "settings": settings_json},
        torch_config=TorchConfig(
            backend="nccl" if settings.gpu and settings.workers > 1 else "gloo"
        ),
        scaling_config=_scaling(chain[0], settings),
        run_config=RunConfig(
            name=f"{chain[-1].name}-{chain[-1].key()[:8]}",
            storage_path=str(settings.storage.resolve()),
            failure_config=FailureConfig(max_failures=settings.retries),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
        ),
    )
    try:
        trainer.fit()
    except Exception:
        raise_last_words(said)
        raise
    raise_last_words(said)
    done = finished_chain(chain)
    if done is None:
        raise StorageError(f"{chain[-1].name} ended without its output folders; see Ray's logs")
    return [
        result.model_copy(update={"reused": result.name in before}).model_dump_json()
        for result in done
    ]


def _finished_names(chain: Sequence[StageTask]) -> set[str]:
    return {task.name for task in chain if finished_chain([task]) is not None}


def _scaling(task: StageTask, settings: RaySettings) -> ScalingConfig:
    return ScalingConfig(
        num_workers=settings.workers,
        use_gpu=settings.gpu,
        resources_per_worker={"CPU": task.threads, **({"GPU": 1} if settings.gpu else {})},
    )


def _train_loop(config: Mapping[str, Any]) -> None:
    """What each training worker runs."""
    from forgefield.trainers.fitting.processes import rank
    from forgefield.trainers.stages.running import run_stage

    settings = RaySettings.model_validate_json(config["settings"])

    def watch(line: StageProgress) -> None:
        ray.train.report({"stage": line.stage, "phase": line.phase, **asdict(line.fit)})
        if rank() == 0:
            write_progress(settings.progress, line)

    chain = [StageTask.model_validate_json(text) for text in config["tasks"]]
    try:
        device = _device(settings)
        for task in chain:
            if rank() == 0:
                write_progress(settings.progress, begun(task))
            run_stage(task, watch, device=device)
    except ForgefieldError as error:
        write_last_words(_last_words(chain, settings), error)
        others_wait = settings.workers > 1  # in a sum that this one will never join
        if others_wait or not isinstance(error, TO_BE_MENDED):
            raise


def _device(settings: RaySettings) -> str:
    """Where a worker trains; raises `MissingProgram` where PyTorch can't use the GPU it was lent.

    A core would take many times as long, while the others idle: stages run one a GPU.
    """
    import torch

    if settings.gpu and not torch.cuda.is_available():
        raise MissingProgram(
            f"Ray lent a GPU to this training, but PyTorch {torch.__version__} on "
            f"{platform.node()} can't use it. Install the build of PyTorch that fits the driver "
            "(https://pytorch.org/get-started/locally), or train on the cores: start the command "
            "with CUDA_VISIBLE_DEVICES= before it."
        )
    return "cuda" if settings.gpu else "cpu"


def _last_words(chain: Sequence[StageTask], settings: RaySettings) -> Path:
    """Where the workers of a chain leave an error of ours."""
    return settings.storage / f"{chain[-1].name}-{chain[-1].key()[:8]}.error.json"
